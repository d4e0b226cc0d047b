import type { Http2Session } from 'node:http2'
import type { WebSocket } from 'ws'
import { describeClose, endSocket } from './web-socket-transport.js'

const NORMAL_CLOSE = 1000

/**
 * The reason why a link has ended, at its lower side. This side's own finding counts first, then the reason that the
 * other side gave when it closed the WebSocket. That reason may come after the HTTP/2 session has failed, as when a
 * write meets a connection that is being closed: so the end is told when both have ended.
 */
export class LinkEnding {
  #noticed: string | undefined
  #told: string | undefined
  #failure: string | undefined
  readonly #socketClosed: Promise<void>

  /** Created before the socket may close. */
  constructor(private readonly socket: WebSocket) {
    this.#socketClosed = new Promise(resolve => {
      socket.once('close', (code, reason) => {
        if (reason.length > 0) this.#told = describeClose(code, reason)
        else if (code !== NORMAL_CLOSE) this.#failure ??= describeClose(code, reason)
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
        endSocket(this.socket)
        resolve()
      })
    })
    void this.#socketClosed.then(() => session.destroy())
    await Promise.all([sessionClosed, this.#socketClosed])
    return this.#noticed ?? this.#told ?? this.#failure ?? 'it was closed'
  }
}
