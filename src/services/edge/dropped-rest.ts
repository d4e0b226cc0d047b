import type { FramedStream, StreamSink } from '../../links/streams/framed-stream.js'

/** Drops the rest of a request whose answer is complete. */
export class DroppedRest implements StreamSink {
  constructor(private readonly stream: FramedStream) {}

  onData(piece: Buffer): void {
    this.stream.consumed(piece.length)
  }

  onMessage(payload: Buffer): void {
    this.stream.consumed(payload.length)
  }

  onEnd(): void {}

  onReset(): void {}

  onDrain(): void {}
}
