import type { FramedStream, StreamResetError, StreamSink } from '../../links/streams/framed-stream.js'

/**
 * Keeps what comes over a stream until its request can begin. The window of the stream bounds it: nothing counts as passed
 * on before that.
 */
export class AwaitedRequest implements StreamSink {
  readonly #kept: ((sink: StreamSink) => void)[] = []
  #isOver = false

  /** Whether the stream was reset meanwhile. */
  get isOver(): boolean {
    return this.#isOver
  }

  onMessage(payload: Buffer): void {
    this.#kept.push(sink => sink.onMessage(payload))
  }

  onData(piece: Buffer): void {
    this.#kept.push(sink => sink.onData(piece))
  }

  onEnd(): void {
    this.#kept.push(sink => sink.onEnd())
  }

  onReset(_error: StreamResetError): void {
    this.#isOver = true
    this.#kept.length = 0
  }

  onDrain(): void {}

  /** Gives all that was kept to the sink that the stream has now. */
  giveTo(stream: FramedStream): void {
    for (const event of this.#kept.splice(0)) event(stream.sink)
  }
}
