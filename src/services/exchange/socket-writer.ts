import type { Writable } from 'node:stream'
import { GatheredPieces } from '../../values/gathered-pieces.js'

/**
 * Writes to a connection, or a stream of one in HTTP/2. Small writes of one turn go together; what waits until the other side reads is kept in few
 * pieces, however many they were.
 */
export class SocketWriter {
  readonly #waiting = new GatheredPieces()
  #isCorked = false

  /** @param onDrained called when all was handed over, after a `write` that returned false, or after the end */
  constructor(
    private readonly socket: Writable,
    private readonly onDrained: () => void
  ) {
    socket.on('drain', () => this.#drained())
    socket.on('finish', onDrained)
  }

  /** Whether nothing waits that the other side does not read. */
  get isDrained(): boolean {
    return !this.socket.writableNeedDrain && this.#waiting.bytes === 0
  }

  /** @returns false when no more should be written until all was handed over */
  write(bytes: Buffer): boolean {
    const { socket } = this
    if (socket.destroyed) return true
    if (!this.#isCorked) {
      if (!this.isDrained) {
        this.#waiting.add(bytes)
        return false
      }
      this.#isCorked = true
      socket.cork()
      process.nextTick(() => {
        this.#isCorked = false
        socket.uncork()
      })
    }
    return socket.write(bytes)
  }

  /** Ends this direction, once all was handed over. */
  end(): void {
    this.#writeWaiting()
    this.socket.end()
  }

  #drained(): void {
    if (this.#waiting.bytes === 0 || this.#writeWaiting()) this.onDrained()
  }

  /** @returns as `write` does */
  #writeWaiting(): boolean {
    const { socket } = this
    let hasRoom = true
    socket.cork()
    for (const piece of this.#waiting.take()) hasRoom = socket.write(piece)
    socket.uncork()
    return hasRoom
  }
}
