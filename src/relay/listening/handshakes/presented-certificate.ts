import type { TLSSocket } from 'node:tls'
import { chainOf, whyCostly } from '../../../keys/certificates/chain-cost.js'
import { lookAtCertificate } from '../../../keys/certificates/shown-certificate.js'

/** The bytes of a caller's certificates beyond which they are costly. Constraints on names take 2 ms in so many. */
const MAX_CALLER_CHAIN_BYTES = 8_192

/** The kind of certificates that a caller showed in its handshake: they cost little to verify, or much. */
export type PresentedCertificate = 'usual' | 'costly'

/**
 * Judges the certificate of a connection, and the chain that came with it. Nobody may have looked at it before. A
 * neighbour's are judged as well: one below may be hostile.
 * @param onCostly called with what is costly, for a user
 */
export function judgeCertificate(socket: TLSSocket, onCostly: (why: string) => void): PresentedCertificate {
  const leaf = lookAtCertificate(socket)
  const why = leaf === undefined ? undefined : whyCostly(chainOf(leaf), MAX_CALLER_CHAIN_BYTES)
  if (why === undefined) return 'usual'
  onCostly(why)
  return 'costly'
}
