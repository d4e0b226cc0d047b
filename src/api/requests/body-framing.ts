import type { IncomingMessage } from 'node:http'
import { RelayError } from '../../values/failures/relay-error.js'

/** Connections on which it is not certain where a request ends, and so where the next one begins; each with the reason. */
const faulty = new WeakMap<object, string>()

/**
 * Refuses a `Transfer-Encoding` with HTTP/1.0, which has none, and any other than `chunked`: what stands in front may have
 * read the body as another length (RFC 9112, section 6.1). Node goes on to parse what came with it, so what looks like
 * further requests of the same connection is refused as well, until the connection is closed after the answer.
 * @throws {RelayError} FAULTY_FRAMING
 */
export function checkFraming(request: IncomingMessage): void {
  const { socket } = request
  const reason = faulty.get(socket) ?? faultOf(request)
  if (reason === undefined) return
  faulty.set(socket, reason)
  throw new RelayError('FAULTY_FRAMING', reason)
}

function faultOf({ httpVersion, headers }: IncomingMessage): string | undefined {
  const coding = headers['transfer-encoding']
  if (coding === undefined) return undefined
  if (httpVersion === '1.0') return 'HTTP/1.0 has no Transfer-Encoding: send a Content-Length, or use HTTP/1.1'
  if (coding.toLowerCase() === 'chunked') return undefined
  return `Transfer-Encoding: ${coding.slice(0, 80)} is not understood: send the body in chunks alone (chunked)`
}
