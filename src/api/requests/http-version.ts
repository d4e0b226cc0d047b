import type { IncomingMessage } from 'node:http'
import { Http2ServerRequest } from 'node:http2'
import { RelayError } from '../../values/failures/relay-error.js'

const HTTP_1 = new Set(['1.0', '1.1'])

/** Whether a request came as a stream of HTTP/2, as over links. Told by what read it: the request line names any version. */
export function isHttp2(request: object): boolean {
  return request instanceof Http2ServerRequest
}

/**
 * Refuses what is read as HTTP/1 and says that it is another version: Node's parser takes 0.9 and 2.0 as well, for which
 * other rules hold. `RTSP/1.0` and the like cannot be told apart here: the parser takes them and passes the number on
 * alone, so what says so is held to all rules of the same version of HTTP.
 * @throws {RelayError} HTTP_VERSION
 */
export function checkVersion(request: IncomingMessage): void {
  if (isHttp2(request) || HTTP_1.has(request.httpVersion)) return
  throw new RelayError('HTTP_VERSION', `HTTP/${request.httpVersion} is not spoken here: use HTTP/1.1`)
}
