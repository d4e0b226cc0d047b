import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { errorCode } from '../../../values/failures/system-error.js'
import type { LinkStream, LinkStreamOptions, Transport, TransportEnding } from '../transport.js'
import { awaitLine } from './await-line.js'
import { endConnection, RawStream } from './raw-stream.js'

/**
 * A connection as the transport of a lane: each message of the handshake is a line, and what follows are the bytes of the
 * lane as they are. Why one of them ends, it can tell during the handshake alone. It knows no signs of life but bytes.
 */
export class RawTransport implements Transport {
  #isStreaming = false
  #isGreeted = false

  /**
   * @param connection that nobody else uses any more
   * @param head bytes that came over it already
   */
  constructor(
    private readonly connection: Duplex,
    head: Buffer
  ) {
    connection.on('error', ignore) // `close` follows
    connection.allowHalfOpen = true // what the stream still has to send goes out
    connection.pause()
    if (connection instanceof Socket) connection.setTimeout(0).setNoDelay()
    if (head.length > 0) connection.unshift(head)
  }

  get isOpen(): boolean {
    const { destroyed, writableEnded, readableEnded } = this.connection
    return !destroyed && !writableEnded && !readableEnded
  }

  /** Whether the other side has sent a good message: it knows this transport, and so does all that is in between. */
  get isGreeted(): boolean {
    return this.#isGreeted
  }

  send(text: string, done?: () => void): void {
    this.connection.write(`${text}\n`, () => done?.())
  }

  receive<T>(limitMs: number, take: (text: string) => T): Promise<T> {
    return awaitLine(this.connection, limitMs, text => {
      const taken = take(text)
      this.#isGreeted = true
      return taken
    })
  }

  pause(): void {
    this.connection.pause()
  }

  resume(): void {
    // It is read while somebody listens, alone: bytes that nobody listens to would be lost.
  }

  stream(options?: LinkStreamOptions): LinkStream {
    this.#isStreaming = true
    return new RawStream(this.connection, options)
  }

  ping(): void {
    // There is none.
  }

  onSignOfLife(): void {
    // There is none but bytes.
  }

  onClose(ended: (ending: TransportEnding) => void): void {
    const { connection } = this
    connection.once('close', () => {
      const isOrderly = connection.readableEnded && connection.errored === null
      const code = errorCode(connection.errored) ?? 'no end was sent'
      const reason = isOrderly ? 'the connection was closed' : `the connection was lost (${code})`
      ended({ reason, isTold: false, isOrderly })
    })
  }

  close(_code: number, reason?: string): void {
    if (reason !== undefined && !this.#isStreaming && this.isOpen) {
      this.send(JSON.stringify({ treeline: 'refused', reason }))
    }
    endConnection(this.connection)
  }

  end(): void {
    if (this.connection.writableEnded) endConnection(this.connection)
    else this.connection.destroy()
  }

  terminate(): void {
    this.connection.destroy()
  }
}

/** One function for all, since there may be many. */
function ignore(): void {}
