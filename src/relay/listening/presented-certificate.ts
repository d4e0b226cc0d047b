import type { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import { verificationMs } from '../../keys/certificates/key-cost.js'
import { lookAtCertificate } from '../../keys/certificates/shown-certificate.js'

/** The time that verifying a chain may take, in ms, by the keys in it. Eight RSA keys of 4,096 bits take one. */
const MAX_CHAIN_MS = 2.5
/** A chain that is longer is costly, whatever keys are in it. */
const MAX_CHAIN_LENGTH = 10

/**
 * The kind of certificate that a caller showed in its handshake: that of a neighbour, what costs little, or what
 * costs much to verify.
 */
export type PresentedCertificate = 'known' | 'usual' | 'costly'

/**
 * Judges the certificate of a connection, and the chain that came with it. Nobody may have looked at it before.
 * @param isOfNeighbour whether it is that of a neighbour, which may show what it likes
 */
export function judgeCertificate(socket: TLSSocket, isOfNeighbour: () => boolean): PresentedCertificate {
  const leaf = lookAtCertificate(socket)
  if (leaf === undefined) return 'usual'
  if (isOfNeighbour()) return 'known'
  return isCostly(leaf) ? 'costly' : 'usual'
}

/** OpenSSL has verified all of it by then, also where nobody vouches for it. */
function isCostly(leaf: X509Certificate): boolean {
  let totalMs = 0
  let length = 0
  for (let next: X509Certificate | undefined = leaf; next !== undefined; next = next.issuerCertificate) {
    length += 1
    totalMs += costOf(next)
    if (length > MAX_CHAIN_LENGTH || totalMs > MAX_CHAIN_MS) return true
  }
  return false
}

function costOf(certificate: X509Certificate): number {
  try {
    return verificationMs(certificate.publicKey)
  } catch {
    return MAX_CHAIN_MS + 1 // a key that Node cannot read
  }
}
