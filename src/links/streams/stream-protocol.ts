/**
 * The frames of a stream connection: a lane on which both sides open streams. A frame is its head of 8 bytes (length of the
 * payload in 3, type in 1, id of the stream in 4, big-endian) and the payload. Streams that the upper side opened have odd
 * ids, those of the lower side even ones; 0 is the connection itself.
 */
export const FRAME = {
  /** Begins a stream. The payload says what is wanted. */
  open: 1,
  /** A message in order with the data, such as the head of an answer. */
  message: 2,
  data: 3,
  /** Ends this direction. */
  end: 4,
  /** Ends both directions at once: a code of {@link RESET} in one byte, then the reason as UTF-8. */
  reset: 5,
  /** Allows so many more bytes of data and messages, in 4 bytes. Of stream 0: over all streams. */
  window: 6,
  /** Asks for a sign of life: proxies close a connection that is silent, and may do so without a word. */
  ping: 7,
  pong: 8
} as const

export const FRAME_HEAD_BYTES = 8

/** The largest payload of data: a frame of one stream holds up those of the others. */
export const MAX_DATA_BYTES = 16 * 1024

/** The largest payload of a frame that is read whole: the head of a request or answer, and some facts about it. */
export const MAX_WHOLE_BYTES = 80 * 1024

/** The bytes that may be under way: of a stream until they were passed on, of all streams together until they came. */
export const FRAMED_STREAM_WINDOW_BYTES = 256 * 1024
export const CONNECTION_WINDOW_BYTES = 4 * 1024 * 1024

/**
 * Bytes of one connection that came and were not passed on, beyond which the other side may send no more: slow readers hold up
 * the others only then.
 */
export const MAX_HELD_BYTES = 32 * 1024 * 1024

/** The time after which slow readers that hold up the others are given up, in ms. */
export const HELD_UP_LIMIT_MS = 10_000

/** Streams at once on one connection, of both sides together. */
export const MAX_FRAMED_STREAMS = 16_384

/** The reasons for resetting a stream. */
export const RESET = {
  /** Given up by the side that wanted it. */
  cancelled: 1,
  /** A refusal before any byte went further: it may be tried elsewhere. */
  refused: 2,
  /** A break on the way. */
  broken: 3
} as const

export type ResetCode = (typeof RESET)[keyof typeof RESET]

/** The head of a frame. */
export function frameHead(type: number, stream: number, length: number): Buffer {
  const head = Buffer.allocUnsafe(FRAME_HEAD_BYTES)
  head.writeUInt32BE(length * 256 + type, 0)
  head.writeUInt32BE(stream, 4)
  return head
}

/** The other side does not keep to the protocol. */
export class StreamProtocolError extends Error {
  override name = 'StreamProtocolError'
}
