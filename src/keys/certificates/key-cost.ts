import type { KeyObject } from 'node:crypto'

/**
 * The cost in microseconds beyond which a key that an unknown caller shows is not used: verifying holds up the event
 * loop for so long each time.
 */
export const MAX_VERIFICATION_US = 2_500

/** The time of one verification, in ms, on 2 cores of 2.5 GHz; rounded up. */
const CURVES: ReadonlyMap<string, number> = new Map([
  ['prime256v1', 0.12],
  ['secp256k1', 0.6],
  ['secp384r1', 1.1],
  ['secp521r1', 2.4]
])
const EDWARDS: ReadonlyMap<string, number> = new Map([
  ['ed25519', 0.15],
  ['ed448', 0.35]
])
/** The time of a multiplication modulo a number of 1,024 bits; it grows with the square of the length. */
const MULTIPLICATION_MS = 0.00022
const OVERHEAD_MS = 0.05
/** The time for curves and kinds of keys that nobody here uses. */
const UNKNOWN_MS = 20

/**
 * The time, in ms, that verifying one signature by this key takes, roughly: an RSA key whose exponent is as long as
 * its modulus takes a hundred times as long as a usual one.
 */
export function verificationMs(key: KeyObject): number {
  const { asymmetricKeyType: kind = '', asymmetricKeyDetails: details } = key
  if (kind === 'ec') return CURVES.get(details?.namedCurve ?? '') ?? UNKNOWN_MS
  if (kind !== 'rsa' && kind !== 'rsa-pss') return EDWARDS.get(kind) ?? UNKNOWN_MS
  const { modulusLength, publicExponent } = details ?? {}
  if (modulusLength === undefined || publicExponent === undefined) return UNKNOWN_MS
  const digits = publicExponent.toString(2)
  const multiplications = digits.length + digits.replaceAll('0', '').length
  return OVERHEAD_MS + multiplications * (modulusLength / 1024) ** 2 * MULTIPLICATION_MS
}

/** @returns why a key that somebody unknown shows is not to be used; undefined: it may be */
export function tooCostly(key: KeyObject): string | undefined {
  if (1_000 * verificationMs(key) <= MAX_VERIFICATION_US) return undefined
  const { asymmetricKeyType: kind = 'unknown', asymmetricKeyDetails: details } = key
  if (kind === 'rsa' || kind === 'rsa-pss') {
    const bits = details?.publicExponent?.toString(2).length
    return `an RSA key of ${details?.modulusLength} bits with an exponent of ${bits} bits takes too long to verify with: 65537 is usual`
  }
  const which = kind === 'ec' ? `on the curve ${details?.namedCurve ?? 'of its own'}` : `of the kind ${kind}`
  return `a key ${which} is not taken: RSA, EC (P-256, P-384, P-521), Ed25519 and Ed448 are`
}
