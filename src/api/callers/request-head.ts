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
 * @throws {RelayError} TOO_MANY_HEADERS, INVALID_INPUT, HTTP_VERSION, FAULTY_FRAMING
 */
export function checkHead(request: IncomingMessage, target: string): void {
  checkVersion(request)
  checkFraming(request)
  const { rawHeaders } = request
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
  checkTarget(request, target)
}
