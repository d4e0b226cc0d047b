import { constants, createPublicKey, type KeyObject, privateEncrypt } from 'node:crypto'
import nacl from 'tweetnacl'
import type { FileKey } from '../../values/ids.js'
import {
  type FileMetadata,
  formatMetadata,
  type HashAlgorithm,
  METADATA_HEADER,
  parseMetadata
} from './file-metadata.js'
import { digestInfo, ed25519Message, ed25519Spki, type SignedParts } from './verify-file.js'

/** A key that signs shared files: an existing agent's RSA key, or our Ed25519 one. */
export type SigningKey =
  | { readonly kind: 'rsa'; readonly key: KeyObject }
  /** The 32 bytes of RFC 8032's private key. */
  | { readonly kind: 'ed25519'; readonly seed: Uint8Array }

/** RSA PKCS#1 v1.5 over the hash of a file: what `openssl dgst -<algorithm> -sign` gives. */
export function signRsa(key: KeyObject, algorithm: HashAlgorithm, hash: Buffer): Buffer {
  return privateEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, digestInfo(algorithm, hash))
}

/** Ed25519 over the names of a file, the time and its hash, by tweetnacl. @param seed 32 bytes */
function signEd25519(seed: Uint8Array, fileKey: FileKey, parts: SignedParts): Buffer {
  const { secretKey } = nacl.sign.keyPair.fromSeed(seed)
  return Buffer.from(nacl.sign.detached(ed25519Message(fileKey, parts), secretKey))
}

/** The public key as SubjectPublicKeyInfo, DER: what a node's `key-hash` is the hash of. */
export function signingKeySpki(signingKey: SigningKey): Buffer {
  if (signingKey.kind === 'rsa') return createPublicKey(signingKey.key).export({ format: 'der', type: 'spki' })
  return ed25519Spki(nacl.sign.keyPair.fromSeed(signingKey.seed).publicKey)
}

/**
 * Signs a file whose hash is known, in the form that its key calls for.
 * @param extra further keys for the block, such as `hostname`, `keydate`, `keyid`; without `=`, without control characters
 * @throws {RelayError} INVALID_INPUT when `extra` makes the block unreadable
 */
export function signFile(
  signingKey: SigningKey,
  fileKey: FileKey,
  parts: SignedParts,
  extra: Readonly<Record<string, string>> = {}
): FileMetadata {
  const hash = Buffer.from(parts.hashValue, 'hex')
  const isRsa = signingKey.kind === 'rsa'
  const digest = isRsa ? signRsa(signingKey.key, parts.algorithm, hash) : signEd25519(signingKey.seed, fileKey, parts)
  const publicKey = isRsa
    ? createPublicKey(signingKey.key).export({ format: 'der', type: 'pkcs1' })
    : signingKeySpki(signingKey)
  const fields = new Map([
    ['header', METADATA_HEADER],
    ['algorithm', parts.algorithm],
    ['digest', digest.toString('hex')],
    ['hash_value', parts.hashValue],
    ['short_pubkey', publicKey.toString('base64')],
    ...Object.entries(extra),
    ...(isRsa ? [] : [['signed_at', String(parts.signedAtMs)] as const])
  ])
  return parseMetadata(formatMetadata({ fields }))
}
