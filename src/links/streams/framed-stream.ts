import type { ResetCode } from './stream-protocol.js'

/** A stream was reset, or its connection was lost. */
export class StreamResetError extends Error {
  override name = 'StreamResetError'

  constructor(
    readonly code: ResetCode,
    /** Why, for people. */
    message: string
  ) {
    super(message)
  }
}

/** The listener of a stream. One object for all, since streams are many and short. */
export interface StreamSink {
  /** A whole message, in order with the data. Count its bytes as {@link FramedStream.consumed} when it was passed on. */
  onMessage(payload: Buffer): void
  /** Count its bytes as {@link FramedStream.consumed} when they were passed on. */
  onData(piece: Buffer): void
  /** No more comes. */
  onEnd(): void
  /**
   * Nothing more comes or goes. Not called after a `reset` of our own; after the end of both directions only where what
   * came is still not passed on, and others need the room.
   */
  onReset(error: StreamResetError): void
  /** More may be written again. */
  onDrain(): void
}

/** One exchange, or one raw connection, on a stream connection: both directions end on their own. */
export interface FramedStream {
  /** Set before the turn of the event loop ends in which the stream was opened. */
  sink: StreamSink
  /** @returns false when no more should be written until `onDrain`. Nothing is sent of a stream that has ended */
  write(piece: Buffer): boolean
  /** Sends a message in order with the data, of 80 KiB at most. @returns as `write` does */
  message(payload: Buffer): boolean
  /** Nothing more goes, once what was written has gone. Idempotent. */
  end(): void
  /**
   * Ends both directions at once. What came and was not passed on counts as consumed, also where both had ended.
   * Idempotent. @param reason for people; at most 300 characters are sent
   */
  reset(code: ResetCode, reason: string): void
  /** So many bytes of what came were passed on: as many more may come. To be told after the end, too, or by a reset. */
  consumed(bytes: number): void
  /** The first half of `consumed`: the bytes take no memory here any more. @returns those for which `allow` is to be called */
  passed(bytes: number): number
  /** The second half: as many more may come. */
  allow(bytes: number): void
}
