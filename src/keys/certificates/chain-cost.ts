import type { X509Certificate } from 'node:crypto'
import { verificationMs } from './key-cost.js'

/** The time that verifying a chain may take, in ms, by the keys in it. Eight RSA keys of 4,096 bits take one. */
const MAX_CHAIN_MS = 2.5
/** A chain that is longer is costly, whatever keys are in it. */
const MAX_CHAIN_LENGTH = 10

/**
 * Looks for what makes a chain of certificates costly to verify. OpenSSL verifies all of it, also where nobody vouches for
 * it, and compares each name with each constraint on names: that time grows with the square of the bytes.
 * @param chain all that were shown, the leaf first
 * @param maxBytes the bytes of a chain that costs little
 * @returns what is costly, for a user; undefined: it costs little
 */
export function whyCostly(chain: readonly X509Certificate[], maxBytes: number): string | undefined {
  const bytes = chain.reduce((sum, { raw }) => sum + raw.length, 0)
  if (chain.length > MAX_CHAIN_LENGTH || bytes > maxBytes) {
    return `${chain.length} certificate${chain.length === 1 ? '' : 's'} of ${bytes} bytes (usual are ${MAX_CHAIN_LENGTH} at most, of ${maxBytes} bytes)`
  }
  let totalMs = 0
  for (const certificate of chain) {
    totalMs += costOf(certificate)
    if (totalMs > MAX_CHAIN_MS) return `keys that take over ${MAX_CHAIN_MS} ms to verify with`
  }
  return undefined
}

/**
 * All certificates that were shown, in their order, whether or not one issued the other.
 * @param leaf as `lookAtCertificate` gives it at the first look
 */
export function chainOf(leaf: X509Certificate): readonly X509Certificate[] {
  const chain: X509Certificate[] = []
  for (let next: X509Certificate | undefined = leaf; next !== undefined; next = next.issuerCertificate) chain.push(next)
  return chain
}

function costOf(certificate: X509Certificate): number {
  try {
    return verificationMs(certificate.publicKey)
  } catch {
    return MAX_CHAIN_MS + 1 // a key that Node cannot read
  }
}
