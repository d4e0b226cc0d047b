import type { IncomingMessage } from 'node:http'
import { RelayError } from '../../values/failures/relay-error.js'

/** Connections on which it is not certain where a request ends, and so where the next one begins. */
const faulty = new WeakSet<object>()

/**
 * Refuses a `Transfer-Encoding` with HTTP/1.0, which has none: what stands in front may have read the body as another
 * length (RFC 9112, section 6.1). Node goes on to parse what came with it, so what looks like further requests of the
 * same connection is refused as well, until the connection is closed after the answer.
 * @throws {RelayError} FAULTY_FRAMING
 */
export function checkFraming({ httpVersion, headers, socket }: IncomingMessage): void {
  if (httpVersion === '1.0' && headers['transfer-encoding'] !== undefined) faulty.add(socket)
  if (!faulty.has(socket)) return
  throw new RelayError('FAULTY_FRAMING', 'HTTP/1.0 has no Transfer-Encoding: send a Content-Length, or use HTTP/1.1')
}
