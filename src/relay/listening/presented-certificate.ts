import type { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import type { KnownCertificates } from '../../tree/known-certificates.js'
import { fingerprint } from '../../values/keys/fingerprint.js'
import { verificationMs } from '../../values/keys/key-cost.js'
import type { ConnectedNeighbour } from './yielding-slots.js'

/** The time that verifying a chain may take, in ms, by the keys in it. Eight RSA keys of 4,096 bits take one. */
const MAX_CHAIN_MS = 2.5
/** A chain that is longer is costly, whatever keys are in it. */
const MAX_CHAIN_LENGTH = 10

/**
 * The kind of certificate that a caller showed in its handshake: that of a neighbour, what costs little, or what
 * costs much to verify.
 */
export type PresentedCertificate = 'known' | 'usual' | 'costly'

type Known = Pick<KnownCertificates, 'nodeOf' | 'isPolicyServer'>

/** Judges the certificate of a connection, and the chain that came with it. */
export function judgeCertificate(socket: TLSSocket, known: Known): PresentedCertificate {
  const leaf = socket.getPeerX509Certificate()
  if (leaf === undefined) return 'usual'
  if (isOfNeighbour(leaf, known)) return 'known'
  return isCostly(leaf) ? 'costly' : 'usual'
}

/** The neighbour whose certificate the caller showed. @param isRelay whether a node is a relay below */
export function neighbourByCertificate(
  socket: TLSSocket,
  known: Known,
  isRelay: (id: string) => boolean
): ConnectedNeighbour | undefined {
  const leaf = socket.getPeerX509Certificate()
  if (leaf === undefined) return undefined
  const shown = fingerprint(leaf.raw)
  if (known.isPolicyServer(shown)) return { kind: 'policy-server' }
  const id = known.nodeOf(shown)
  return id === undefined ? undefined : { kind: isRelay(id) ? 'relay' : 'node', id }
}

function isOfNeighbour(leaf: X509Certificate, known: Known): boolean {
  const shown = fingerprint(leaf.raw)
  return known.isPolicyServer(shown) || known.nodeOf(shown) !== undefined
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
