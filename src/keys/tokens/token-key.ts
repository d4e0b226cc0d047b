import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'

/** The kind of signature of a token (RFC 7518, 3.4; RFC 8037, 3.1): with Ed25519, or with ECDSA on P-256 and SHA-256. */
export type TokenAlgorithm = 'EdDSA' | 'ES256'

export const TOKEN_ALGORITHMS: readonly TokenAlgorithm[] = ['EdDSA', 'ES256']

/** A public key, by which relays know who signed a token. */
export interface TokenKey {
  /** The thumbprint of the key (RFC 7638): another key never has it. */
  readonly id: string
  readonly algorithm: TokenAlgorithm
  readonly publicKey: KeyObject
}

/** A private key with what a signer has to know besides. */
export interface TokenSigner {
  readonly key: TokenKey
  readonly privateKey: KeyObject
  /** The tree in which its tokens are good ({@link treeAudience}). */
  readonly audience: string
}

const KEY_ID = /^[\w-]{43}$/
const AUDIENCE = /^treeline:[\w-]{43}$/

/** Whether `text` can be the id of a key. */
export function isTokenKeyId(text: string): boolean {
  return KEY_ID.test(text)
}

/**
 * The name of a tree in the claim `aud`: by the certificate of its CA, which no other tree has.
 * @param ca DER
 */
export function treeAudience(ca: Buffer): string {
  return `treeline:${createHash('sha256').update(ca).digest('base64url')}`
}

export function makeTokenKey(algorithm: TokenAlgorithm): KeyObject {
  if (algorithm === 'EdDSA') return generateKeyPairSync('ed25519').privateKey
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
}

/** The key of tokens that a public key makes. @throws {Error} for one of another kind than {@link TokenAlgorithm} has */
export function tokenKeyOf(publicKey: KeyObject): TokenKey {
  const { kty, crv, x, y } = publicKey.export({ format: 'jwk' })
  // the members in this order, and no others (RFC 7638, 3.2; RFC 8037, 2)
  const members = kty === 'OKP' ? { crv, kty, x } : { crv, kty, x, y }
  const algorithm = crv === 'Ed25519' ? 'EdDSA' : crv === 'P-256' ? 'ES256' : undefined
  if (algorithm === undefined) throw new Error('a key of tokens is Ed25519, or EC on P-256')
  return { id: createHash('sha256').update(JSON.stringify(members)).digest('base64url'), algorithm, publicKey }
}

/** The file of a private key: a JWK (RFC 7517), which other programs read as well, with the tree as `aud`. */
export function formatTokenSigner({ key, privateKey, audience }: TokenSigner): string {
  const jwk = { ...privateKey.export({ format: 'jwk' }), kid: key.id, alg: key.algorithm, use: 'sig', aud: audience }
  return `${JSON.stringify(jwk)}\n`
}

/** Reads what {@link formatTokenSigner} gives. @throws {Error} saying what is wrong; never with what stands in it */
export function parseTokenSigner(text: string): TokenSigner {
  let jwk: unknown
  try {
    jwk = JSON.parse(text)
  } catch {
    throw new Error('it is no JSON')
  }
  if (typeof jwk !== 'object' || jwk === null) throw new Error('it is no JWK')
  const { kid, aud, ...members } = jwk as Readonly<Record<string, unknown>>
  if (typeof aud !== 'string' || !AUDIENCE.test(aud)) throw new Error('it does not name its tree (aud)')
  const privateKey = readPrivateKey(members)
  const key = tokenKeyOf(createPublicKey(privateKey))
  if (kid !== key.id) throw new Error('its kid is not the thumbprint of the key')
  return { key, privateKey, audience: aud }
}

function readPrivateKey(members: Readonly<Record<string, unknown>>): KeyObject {
  const texts = Object.entries(members).filter((entry): entry is [string, string] => typeof entry[1] === 'string')
  try {
    return createPrivateKey({ key: Object.fromEntries(texts), format: 'jwk' })
  } catch {
    throw new Error('it is no private key')
  }
}
