import { constants, createPublicKey, type KeyObject, publicDecrypt, verify } from 'node:crypto'
import { RelayError } from '../../values/failures/relay-error.js'
import type { FileKey } from '../../values/ids.js'
import { tooCostly } from '../certificates/key-cost.js'
import type { FileMetadata, HashAlgorithm } from './file-metadata.js'

export const MIN_RSA_BITS = 1_024
export const MAX_RSA_BITS = 16_384

/** SubjectPublicKeyInfo of Ed25519 up to the 32 bytes of the key itself (RFC 8410, section 4). */
const ED25519_SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex')
const ED25519_SPKI_BYTES = 44
const ED25519_SIGNATURE_BYTES = 64

/** DigestInfo up to the hash itself (RFC 8017, section 9.2, note 1). */
const DIGEST_INFO_PREFIX: Readonly<Record<HashAlgorithm, Buffer>> = {
  sha1: Buffer.from('3021300906052b0e03021a05000414', 'hex'),
  sha256: Buffer.from('3031300d060960864801650304020105000420', 'hex'),
  sha512: Buffer.from('3051300d060960864801650304020305000440', 'hex')
}

/** A public key as a metadata block carries it. */
export interface FilePublicKey {
  /** SubjectPublicKeyInfo, DER: what a node's `key-hash` is the hash of. */
  readonly spkiDer: Buffer
  readonly kind: 'rsa' | 'ed25519'
  readonly key: KeyObject
}

/** The data that an Ed25519 signature covers, besides the names of the file. */
export interface SignedParts {
  /** Ms since 1970. */
  readonly signedAtMs: number
  readonly algorithm: HashAlgorithm
  /** Lower-case hex. */
  readonly hashValue: string
}

/**
 * Reads the public key of a metadata block: a PKCS#1 `RSAPublicKey` of 1,024 to 16,384 bits, or an Ed25519
 * SubjectPublicKeyInfo, DER in base64.
 * @throws {RelayError} INVALID_INPUT when it is neither
 */
export function readPublicKey(metadata: Pick<FileMetadata, 'publicKey'>): FilePublicKey {
  const der = Buffer.from(metadata.publicKey, 'base64')
  return isEd25519(der) ? readEd25519(der) : readRsa(der)
}

/** The time in a metadata block, where its signature covers it: that of an Ed25519 key does, that of an RSA key does not. */
export function coveredSigningTime(metadata: FileMetadata): number | undefined {
  return isEd25519(Buffer.from(metadata.publicKey, 'base64')) ? metadata.signedAtMs : undefined
}

/** Whether a SubjectPublicKeyInfo, DER, is one of Ed25519, by its bytes alone. */
export function isEd25519(spki: Buffer): boolean {
  return spki.length === ED25519_SPKI_BYTES && spki.subarray(0, ED25519_SPKI_PREFIX.length).equals(ED25519_SPKI_PREFIX)
}

/**
 * Holds a file against its metadata, once its bytes have been hashed.
 * @param actualHash of the file's bytes, by `metadata.algorithm`
 * @throws {RelayError} BAD_SIGNATURE saying what does not fit
 */
export function verifyFileSignature(
  metadata: FileMetadata,
  publicKey: FilePublicKey,
  fileKey: FileKey,
  actualHash: Buffer
): void {
  if (actualHash.toString('hex') !== metadata.hashValue) {
    throw bad(`hash_value is ${metadata.hashValue}, but the ${metadata.algorithm} of the file is ${hex(actualHash)}`)
  }
  const isGood =
    publicKey.kind === 'rsa'
      ? isGoodRsa(metadata, publicKey.key, actualHash)
      : isGoodEd25519(metadata, publicKey.key, fileKey)
  if (!isGood) throw bad('digest is not a signature of this file by the key in short_pubkey')
}

/** The bytes that an Ed25519 `digest` signs (contract, "The PUT body"): seven lines, each ended by a line feed. */
export function ed25519Message(fileKey: FileKey, parts: SignedParts): Buffer {
  const lines = [
    'treeline-file-v1',
    fileKey.target,
    fileKey.source,
    fileKey.fileId,
    String(parts.signedAtMs),
    parts.algorithm,
    parts.hashValue
  ]
  return Buffer.from(lines.map(line => `${line}\n`).join(''))
}

/** The DigestInfo that an RSA PKCS#1 v1.5 signature wraps (RFC 8017, section 9.2). */
export function digestInfo(algorithm: HashAlgorithm, hash: Buffer): Buffer {
  return Buffer.concat([DIGEST_INFO_PREFIX[algorithm], hash])
}

/** SubjectPublicKeyInfo, DER, of an Ed25519 public key's 32 bytes. */
export function ed25519Spki(publicKey: Uint8Array): Buffer {
  return Buffer.concat([ED25519_SPKI_PREFIX, publicKey])
}

function readEd25519(der: Buffer): FilePublicKey {
  try {
    return { spkiDer: der, kind: 'ed25519', key: createPublicKey({ key: der, format: 'der', type: 'spki' }) }
  } catch (cause) {
    throw unreadable(cause)
  }
}

function readRsa(der: Buffer): FilePublicKey {
  let key: KeyObject
  let spkiDer: Buffer
  try {
    key = createPublicKey({ key: der, format: 'der', type: 'pkcs1' })
    spkiDer = key.export({ format: 'der', type: 'spki' })
  } catch (cause) {
    throw unreadable(cause)
  }
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0
  if (bits < MIN_RSA_BITS || bits > MAX_RSA_BITS) {
    throw new RelayError(
      'INVALID_INPUT',
      `invalid metadata: an RSA key of ${bits} bits; ${MIN_RSA_BITS} to ${MAX_RSA_BITS} are allowed`
    )
  }
  const why = tooCostly(key)
  if (why !== undefined) throw new RelayError('INVALID_INPUT', `invalid metadata: ${why}`)
  return { spkiDer, kind: 'rsa', key }
}

/** Compares the whole DigestInfo, so that the file need not be hashed a second time, as `createVerify` would. */
function isGoodRsa(metadata: FileMetadata, key: KeyObject, hash: Buffer): boolean {
  const modulusBytes = Math.ceil((key.asymmetricKeyDetails?.modulusLength ?? 0) / 8)
  if (metadata.digest.length !== modulusBytes) return false
  try {
    const signed = publicDecrypt({ key, padding: constants.RSA_PKCS1_PADDING }, metadata.digest)
    return signed.equals(digestInfo(metadata.algorithm, hash))
  } catch {
    return false // the padding is wrong, or the number is not below the modulus
  }
}

function isGoodEd25519(metadata: FileMetadata, key: KeyObject, fileKey: FileKey): boolean {
  const { signedAtMs, algorithm, hashValue, digest } = metadata
  if (signedAtMs === undefined) throw bad('signed_at is missing, which an Ed25519 signature covers')
  if (digest.length !== ED25519_SIGNATURE_BYTES) return false
  return verify(null, ed25519Message(fileKey, { signedAtMs, algorithm, hashValue }), key, digest)
}

function hex(hash: Buffer): string {
  return hash.toString('hex')
}

function unreadable(cause: unknown): RelayError {
  const message = 'invalid metadata: short_pubkey is neither a PKCS#1 RSAPublicKey nor an Ed25519 SubjectPublicKeyInfo'
  return new RelayError('INVALID_INPUT', message, { cause })
}

function bad(reason: string): RelayError {
  return new RelayError('BAD_SIGNATURE', `bad signature: ${reason}`)
}
