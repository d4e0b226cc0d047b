import { createHash, timingSafeEqual, X509Certificate } from 'node:crypto'

export type KeyHashAlgorithm = 'sha1' | 'sha256' | 'sha512'

export interface KeyHash {
  readonly algorithm: KeyHashAlgorithm
  readonly hash: Buffer
}

const HASH_BYTES: Readonly<Record<KeyHashAlgorithm, number>> = { sha1: 20, sha256: 32, sha512: 64 }
const BASE64_FORM = /^(sha1|sha256|sha512)\/\/([A-Za-z0-9+/]+={0,2})$/
const HEX_FORM = /^(sha1|sha256|sha512):([0-9a-fA-F]+)$/

/** The longest text: longer than any hash in either form. */
export const MAX_KEY_HASH_LENGTH = 256

/**
 * Reads a `key-hash` of the nodes list: `sha256//<base64>` or `sha256:<hex>`, sha1 and sha512 likewise (contract, "The
 * nodes list").
 * @returns undefined when it is empty or cannot be read: the node has no key yet
 */
export function parseKeyHash(text: string): KeyHash | undefined {
  if (text.length > MAX_KEY_HASH_LENGTH) return undefined
  return readForm(text, BASE64_FORM, 'base64') ?? readForm(text, HEX_FORM, 'hex')
}

/** The SHA-256 of a public key, 32 bytes. @param spki the key as DER SubjectPublicKeyInfo */
export function keyHashOf(spki: Buffer): Buffer {
  return createHash('sha256').update(spki).digest()
}

/** Prints the SHA-256 of a public key as the nodes list has it: `sha256//<base64>`. */
export function formatKeyHash(spki: Buffer): string {
  return `sha256//${keyHashOf(spki).toString('base64')}`
}

/** The SHA-256 of the public key of a certificate, 32 bytes. @param der the certificate */
export function keyHashOfCertificate(der: Buffer): Buffer {
  return keyHashOf(new X509Certificate(der).publicKey.export({ type: 'spki', format: 'der' }))
}

function readForm(text: string, form: RegExp, encoding: 'base64' | 'hex'): KeyHash | undefined {
  const [, name, digits = ''] = form.exec(text) ?? []
  if (name !== 'sha1' && name !== 'sha256' && name !== 'sha512') return undefined
  const hash = Buffer.from(digits, encoding)
  const isWhole = hash.length === HASH_BYTES[name] && sameDigits(hash.toString(encoding), digits, encoding)
  return isWhole ? { algorithm: name, hash } : undefined
}

/** Node decodes leniently: what does not encode to the same text again was cut short or padded wrongly. */
function sameDigits(encoded: string, digits: string, encoding: 'base64' | 'hex'): boolean {
  if (encoding === 'hex') return encoded === digits.toLowerCase()
  return encoded.replace(/=+$/, '') === digits.replace(/=+$/, '')
}

/** Lengths of a hash in either form, base64 with padding or without. */
const TEXT_LENGTHS: ReadonlyMap<string, readonly number[]> = new Map(
  Object.entries(HASH_BYTES).flatMap(([name, bytes]) => [
    [`${name}/`, [Math.ceil((bytes * 4) / 3), Math.ceil(bytes / 3) * 4].map(digits => name.length + 2 + digits)],
    [`${name}:`, [name.length + 1 + bytes * 2]]
  ])
)

/** Whether `text` has one of the forms that {@link parseKeyHash} reads, by a look at its characters and length alone. */
export function isKeyHash(text: string): boolean {
  if (text.length > MAX_KEY_HASH_LENGTH || !(BASE64_FORM.test(text) || HEX_FORM.test(text))) return false
  const form = text.slice(0, text.search(/[:/]/) + 1)
  return TEXT_LENGTHS.get(form)?.includes(text.length) ?? false
}

/**
 * Whether a public key is the one that `keyHash` stands for, in constant time.
 * @param spkiDer the key as SubjectPublicKeyInfo, DER (RFC 5280, section 4.1.2.7)
 * @param keyHash as in the nodes list; one that {@link parseKeyHash} cannot read matches no key
 */
export function keyHashMatches(spkiDer: Buffer, keyHash: string): boolean {
  const expected = parseKeyHash(keyHash)
  if (expected === undefined) return false
  return timingSafeEqual(createHash(expected.algorithm).update(spkiDer).digest(), expected.hash)
}
