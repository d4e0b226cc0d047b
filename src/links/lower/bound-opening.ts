import type { ClientRequest } from 'node:http'
import { boundInformational } from '../../network/informational-answers.js'
import { HANDSHAKE_LIMIT_MS } from '../wire/protocol.js'

/**
 * Bounds the opening of a connection to the upper side, from its beginning to the answer to the upgrade: whatever comes
 * meanwhile, such as a head byte by byte, takes no longer.
 */
export function boundOpening(request: ClientRequest): void {
  const tooLate = () => request.destroy(new Error(`it did not answer within ${HANDSHAKE_LIMIT_MS / 1_000} s`))
  const timer = setTimeout(tooLate, HANDSHAKE_LIMIT_MS)
  for (const end of ['upgrade', 'response', 'close']) request.once(end, () => clearTimeout(timer))
  boundInformational(request)
}
