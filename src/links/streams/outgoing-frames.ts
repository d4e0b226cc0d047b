import type { LinkStream } from '../wire/transport.js'
import { FRAME_HEAD_BYTES, frameHead } from './stream-protocol.js'

/** Bytes of one turn beyond which data waits for the next one. */
const MAX_TURN_BYTES = 256 * 1024
/** Bytes that wait to be sent, with which the other side is taken for one that does not read. */
const MAX_UNREAD_FRAMES_BYTES = 32 * 1024 * 1024
/** Bytes that wait to be sent, from which on no stream is opened. */
const MAX_UNREAD_OPENINGS_BYTES = 8 * 1024 * 1024
/** Up to here one copy is cheaper than many writes. */
const MAX_COPIED_BYTES = 32 * 1024

/** Writes all frames of one turn of the event loop at once: one record of TLS and one system call for many requests. */
export class OutgoingFrames {
  #parts: Buffer[] = []
  #bytes = 0
  #isBlocked = false
  #isScheduled = false

  /** @param onRoom called when there is room for data again */
  constructor(
    private readonly lane: LinkStream,
    private readonly onRoom: () => void
  ) {
    lane.on('drain', () => {
      this.#isBlocked = false
      onRoom()
    })
  }

  /** Whether data should be added. Frames without data may always be, up to a bound. */
  get hasRoom(): boolean {
    return !this.#isBlocked && this.#bytes < MAX_TURN_BYTES
  }

  /** Whether a stream may be opened. Its first frame has no window that would bound it. */
  get mayOpen(): boolean {
    return this.#waitingBytes < MAX_UNREAD_OPENINGS_BYTES
  }

  get #waitingBytes(): number {
    return this.#bytes + this.lane.writableLength
  }

  /** Adds a frame. Ends the lane where the other side has read none of too many. */
  add(type: number, stream: number, payload?: Buffer): void {
    if (this.lane.destroyed) return
    if (this.#waitingBytes > MAX_UNREAD_FRAMES_BYTES) {
      this.lane.destroy(new Error('the other side reads nothing of what is sent'))
      return
    }
    const length = payload?.length ?? 0
    this.#parts.push(frameHead(type, stream, length))
    if (payload !== undefined && length > 0) this.#parts.push(payload)
    this.#bytes += FRAME_HEAD_BYTES + length
    this.wake()
  }

  /** Has `onRoom` called in this turn, if there is room then. */
  wake(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => this.#write())
  }

  #write(): void {
    const parts = this.#parts
    const bytes = this.#bytes
    this.#parts = []
    this.#bytes = 0
    this.#isScheduled = false
    const { lane } = this
    if (lane.destroyed || lane.writableEnded) return
    if (parts.length > 0) this.#isBlocked = !this.#send(parts, bytes)
    if (!this.#isBlocked) this.onRoom()
  }

  #send(parts: readonly Buffer[], bytes: number): boolean {
    const { lane } = this
    if (bytes <= MAX_COPIED_BYTES) return lane.write(Buffer.concat(parts, bytes))
    let hasRoom = true
    lane.cork()
    for (const part of parts) hasRoom = lane.write(part)
    lane.uncork()
    return hasRoom
  }
}
