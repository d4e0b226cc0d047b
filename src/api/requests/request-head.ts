import type { IncomingMessage } from 'node:http'
import { RelayError } from '../../values/failures/relay-error.js'
import { checkFraming } from './body-framing.js'
import { checkVersion } from './http-version.js'
import { checkTarget } from './request-target.js'

/** Headers of one request. Node drops those beyond `maxHeadersCount` in silence, so it is off and they are counted here. */
export const MAX_HEADERS = 200

/**
 * Refuses a head that could be read in two ways: who is calling, and how long the body is, must not depend on who reads.
 * @param target as it came
 * @throws {RelayError} TOO_MANY_HEADERS, INVALID_INPUT, HTTP_VERSION, FAULTY_FRAMING, NO_HOST, UNKNOWN_EXPECTATION
 */
export function checkHead(request: IncomingMessage, target: string): void {
  checkVersion(request)
  checkFraming(request)
  const { rawHeaders, httpVersion } = request
  if (rawHeaders.length > 2 * MAX_HEADERS) {
    throw new RelayError(
      'TOO_MANY_HEADERS',
      `the request has ${rawHeaders.length / 2} headers; ${MAX_HEADERS} are allowed`
    )
  }
  let hosts = 0
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? ''
    if (name.length === 4 && name.toLowerCase() === 'host') hosts += 1
  }
  if (hosts > 1) throw new RelayError('INVALID_INPUT', 'the request has two Host headers')
  if (httpVersion === '1.1') {
    // Whether or not the target names one as well (RFC 9112, section 3.2).
    if (hosts === 0) throw new RelayError('NO_HOST', 'the request has no Host header, which HTTP/1.1 requires')
    checkExpectation(request)
  }
  checkTarget(request, target)
}

/** Refuses an `Expect` of anything but `100-continue`. HTTP/1.0 has none, and there it means nothing. */
function checkExpectation({ headers: { expect } }: IncomingMessage): void {
  if (expect === undefined || expect.split(',').every(is100Continue)) return
  const shown = JSON.stringify(expect.slice(0, 80))
  throw new RelayError('UNKNOWN_EXPECTATION', `the request expects ${shown}; nothing but 100-continue is met here`)
}

function is100Continue(expectation: string): boolean {
  return expectation.trim().toLowerCase() === '100-continue'
}
