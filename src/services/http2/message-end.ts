import type { Http2Stream } from 'node:http2'

/** Tells whether the other side has ended its message on a stream. */
export interface MessageEnd {
  readonly hasCome: boolean
}

/**
 * Watches a stream for the end of the message that comes over it. Node emits `end` for a reset with NO_ERROR as well, and
 * for some ends of the connection, though the message is not complete then: it closes the stream first in these cases.
 */
export function watchMessageEnd(stream: Http2Stream): MessageEnd {
  const end = { hasCome: !stream.closed && stream.state.remoteClose === 1 } // it may have come with the head
  const push = stream.push.bind(stream)
  stream.push = (chunk: unknown, encoding?: BufferEncoding) => {
    if (chunk === null && !stream.closed && !stream.destroyed) end.hasCome = true
    return push(chunk, encoding)
  }
  return end
}
