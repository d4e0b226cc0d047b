import { type FramedStream, StreamResetError, type StreamSink } from './framed-stream.js'
import { FRAMED_STREAM_WINDOW_BYTES, type ResetCode } from './stream-protocol.js'

/** Makes both ends of a stream within this process. What one end sends comes to the other in a later turn. */
export function localStreams(): readonly [LocalStream, LocalStream] {
  const one = new LocalStream()
  const other = new LocalStream()
  one.connect(other)
  other.connect(one)
  return [one, other]
}

/** One end of a stream that crosses no link. */
export class LocalStream implements FramedStream {
  sink: StreamSink = UNWANTED
  #other: LocalStream | undefined
  /** Events for the sink, in order, until their turn. */
  #coming: (() => void)[] = []
  #isAwaited = false
  /** Bytes that were sent, and that the other end has not passed on. */
  #underWay = 0
  #isHeldBack = false
  #hasEnded = false
  #isEndedByOther = false
  #isReset = false
  #onClosed: () => void = () => undefined

  /** Called once, before anything is sent. */
  connect(other: LocalStream): void {
    this.#other = other
  }

  /** @param listener called once, when both directions have ended */
  onClosed(listener: () => void): void {
    this.#onClosed = listener
  }

  write(piece: Buffer): boolean {
    return this.#send(piece, sink => sink.onData(piece))
  }

  message(payload: Buffer): boolean {
    return this.#send(payload, sink => sink.onMessage(payload))
  }

  end(): void {
    if (this.#hasEnded || this.#isReset) return
    this.#hasEnded = true
    this.#other?.come(sink => sink.onEnd(), true)
    this.#closeIfOver()
  }

  reset(code: ResetCode, reason: string): void {
    if (this.#isReset || (this.#hasEnded && this.#isEndedByOther)) return
    this.#close()
    this.#other?.resetCame(code, reason)
  }

  consumed(bytes: number): void {
    this.allow(this.passed(bytes))
  }

  passed(bytes: number): number {
    return bytes
  }

  allow(bytes: number): void {
    this.#other?.passedOn(bytes)
  }

  /** Bytes of this end were passed on at the other one. */
  passedOn(bytes: number): void {
    this.#underWay = Math.max(0, this.#underWay - bytes)
    if (!this.#isHeldBack || this.#underWay > FRAMED_STREAM_WINDOW_BYTES / 4) return
    this.#isHeldBack = false
    this.#later(() => this.sink.onDrain())
  }

  /** Has the sink told in a later turn. @param isEnd whether nothing comes behind it */
  come(tell: (sink: StreamSink) => void, isEnd = false): void {
    this.#later(() => {
      if (isEnd) this.#isEndedByOther = true
      tell(this.sink)
      if (isEnd) this.#closeIfOver()
    })
  }

  resetCame(code: ResetCode, reason: string): void {
    if (this.#isReset) return
    this.#close()
    setImmediate(() => this.sink.onReset(new StreamResetError(code, reason)))
  }

  #send(bytes: Buffer, tell: (sink: StreamSink) => void): boolean {
    if (this.#hasEnded || this.#isReset || bytes.length === 0) return true
    this.#underWay += bytes.length
    this.#other?.come(tell)
    this.#isHeldBack ||= this.#underWay >= FRAMED_STREAM_WINDOW_BYTES
    return !this.#isHeldBack
  }

  #later(event: () => void): void {
    if (this.#isReset) return
    this.#coming.push(event)
    if (this.#isAwaited) return
    this.#isAwaited = true
    setImmediate(() => {
      this.#isAwaited = false
      for (const each of this.#coming.splice(0)) if (!this.#isReset) each()
    })
  }

  #closeIfOver(): void {
    if (this.#hasEnded && this.#isEndedByOther) this.#close()
  }

  #close(): void {
    if (this.#isReset) return
    this.#isReset = true
    this.#coming = []
    this.#onClosed()
  }
}

/** A stream whose reset has no receiver, as it is before a sink is set. */
const UNWANTED: StreamSink = {
  onMessage: () => undefined,
  onData: () => undefined,
  onEnd: () => undefined,
  onReset: () => undefined,
  onDrain: () => undefined
}
