import type { FramedStream, StreamResetError, StreamSink } from './framed-stream.js'
import { RESET } from './stream-protocol.js'

/**
 * Joins two streams: what comes over either goes over the other, with messages, ends and resets. A slow reader holds the
 * writer back, since bytes count as consumed only once the next stream has room. Takes the place of both sinks.
 */
export function splice(one: FramedStream, other: FramedStream): void {
  const there = new Passing(one, other)
  const back = new Passing(other, one)
  there.opposite = back
  back.opposite = there
  one.sink = there
  other.sink = back
}

/** Messages that wait in one direction. An exchange has a few; each costs far more memory than its bytes. */
const MAX_WAITING_MESSAGES = 64

/** One direction. */
class Passing implements StreamSink {
  opposite: Passing | undefined
  /** Bytes that wait in the next stream. */
  #owed = 0
  #waitingMessages = 0

  constructor(
    private readonly from: FramedStream,
    private readonly to: FramedStream
  ) {}

  onMessage(payload: Buffer): void {
    const hasRoom = this.to.message(payload)
    this.#passed(payload.length, hasRoom)
    if (hasRoom) return
    this.#waitingMessages += 1
    if (this.#waitingMessages <= MAX_WAITING_MESSAGES) return
    const reason = `more than ${MAX_WAITING_MESSAGES} messages wait`
    this.from.reset(RESET.broken, reason)
    this.to.reset(RESET.broken, reason)
  }

  onData(piece: Buffer): void {
    this.#passed(piece.length, this.to.write(piece))
  }

  onEnd(): void {
    this.to.end()
  }

  onReset({ code, message }: StreamResetError): void {
    this.to.reset(code, message)
  }

  onDrain(): void {
    this.opposite?.repay()
  }

  repay(): void {
    const owed = this.#owed
    this.#owed = 0
    this.#waitingMessages = 0
    this.from.consumed(owed)
  }

  #passed(bytes: number, hasRoom: boolean): void {
    if (hasRoom) this.from.consumed(bytes)
    else this.#owed += bytes
  }
}
