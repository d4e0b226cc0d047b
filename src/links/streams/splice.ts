import type { FramedStream, StreamResetError, StreamSink } from './framed-stream.js'

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

/** One direction. */
class Passing implements StreamSink {
  opposite: Passing | undefined
  /** Bytes that wait in the next stream. */
  #owed = 0

  constructor(
    private readonly from: FramedStream,
    private readonly to: FramedStream
  ) {}

  onMessage(payload: Buffer): void {
    this.#passed(payload.length, this.to.message(payload))
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
    this.from.consumed(owed)
  }

  #passed(bytes: number, hasRoom: boolean): void {
    if (hasRoom) this.from.consumed(bytes)
    else this.#owed += bytes
  }
}
