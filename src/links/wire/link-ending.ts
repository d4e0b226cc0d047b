import type { Http2Session } from 'node:http2'
import type { Transport } from './transport.js'

/**
 * The reason why a link has ended, at its lower side. This side's own finding counts first, then the reason that the
 * other side gave when it closed the transport. That reason may come after the HTTP/2 session has failed, as when a
 * write meets a connection that is being closed: so the end is told when both have ended.
 */
export class LinkEnding {
  #noticed: string | undefined
  #told: string | undefined
  #failure: string | undefined
  readonly #transportClosed: Promise<void>

  /** Created before the transport may close. */
  constructor(private readonly transport: Transport) {
    this.#transportClosed = new Promise(resolve => {
      transport.onClose(({ reason, isTold, isOrderly }) => {
        if (isTold) this.#told = reason
        else if (!isOrderly) this.#failure ??= reason
        resolve()
      })
    })
  }

  /** Notes what this side ends the link for. */
  note(reason: string): void {
    this.#noticed ??= reason
  }

  /** Ends what is left of the two, once one of them has ended. @returns the reason, when both have */
  async of(session: Http2Session): Promise<string> {
    session.on('error', error => {
      this.#failure ??= error.message
    })
    const sessionClosed = new Promise<void>(resolve => {
      session.once('close', () => {
        this.transport.end()
        resolve()
      })
    })
    void this.#transportClosed.then(() => session.destroy())
    await Promise.all([sessionClosed, this.#transportClosed])
    return this.#noticed ?? this.#told ?? this.#failure ?? 'it was closed'
  }
}
