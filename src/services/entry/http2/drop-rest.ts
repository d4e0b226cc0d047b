import { constants, type ServerHttp2Stream } from 'node:http2'

/** The time for which the rest of a request is read that nobody wants, so that the caller comes to see the answer. */
const DROP_LIMIT_MS = 5_000
/** So much of it is read. */
const MAX_DROPPED_BYTES = 64 * 1024 * 1024

/**
 * Reads and drops the rest of a request whose answer has ended. Once the end of the answer has gone, the caller is told to
 * stop: a reset with NO_ERROR (RFC 9113, 8.1). Not before, since a reset overtakes what waits for the caller's window.
 */
export function dropRest(stream: ServerHttp2Stream): void {
  let dropped = 0
  const stop = () => {
    if (!stream.closed && !stream.destroyed) stream.close(constants.NGHTTP2_NO_ERROR)
  }
  const stopIfSent = () => {
    if (stream.destroyed || stream.state.localClose === 1) stop()
  }
  const timer = setTimeout(stop, DROP_LIMIT_MS).unref()
  stream.once('close', () => clearTimeout(timer))
  stream.on('data', (piece: Buffer) => {
    dropped += piece.length
    if (dropped > MAX_DROPPED_BYTES) stop()
    else stopIfSent()
  })
  stream.once('finish', () => setImmediate(() => setImmediate(stopIfSent))) // behind the trailers, which Node sends in a turn of their own
  stream.resume()
}
