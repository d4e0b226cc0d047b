import { createPublicKey, type KeyObject, verify } from 'node:crypto'
import { type DerElement, elementsOf, expectTag, readElement, TAG, userIdsOf } from '../keys/certificates/der.js'
import { keyHashOf } from '../keys/signatures/key-hash.js'
import { RelayError } from '../values/failures/relay-error.js'
import { SIGNING, toWebKeys, USER_ID_OID, x509 } from './x509.js'

/** The content of a certificate request, its signature checked. */
export interface CertificateRequest {
  /** The id in the subject. */
  readonly id: string
  /** SubjectPublicKeyInfo of an EC P-256 key, DER. */
  readonly publicKey: Buffer
  /** SHA-256 of it. */
  readonly keyHash: Buffer
}

/** SubjectPublicKeyInfo of EC P-256 up to the point, which is not compressed (RFC 5480, section 2). */
const P256_SPKI_PREFIX = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d03010703420004', 'hex')
const P256_SPKI_BYTES = P256_SPKI_PREFIX.length + 64

/** The algorithm of its signature: ECDSA with SHA-256 (RFC 5758, section 3.2). */
const SIGNED_BY = Buffer.from('300a06082a8648ce3d040302', 'hex')

/** The size of a request: one as we make it has 200 bytes, and those of the id. */
const MAX_REQUEST_BYTES = 512

/** @param key EC P-256 @returns DER, PKCS #10 */
export async function makeRequest(id: string, key: KeyObject): Promise<Buffer> {
  const { Pkcs10CertificateRequestGenerator } = await x509()
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: [{ [USER_ID_OID]: [id] }],
    keys: await toWebKeys(key),
    signingAlgorithm: SIGNING
  })
  return Buffer.from(request.rawData)
}

/**
 * Reads a request and checks its signature. The signature proves that the sender has the private key, and nothing
 * else. The bytes are read here, and not by the library, which takes milliseconds for a long subject: anybody may send
 * them.
 * @throws {RelayError} INVALID_INPUT
 */
export function readRequest(der: Buffer): CertificateRequest {
  if (der.length === 0 || der.length > MAX_REQUEST_BYTES) throw unusable(`it has ${der.length} bytes`)
  const { ids, publicKey, isSigned } = asUnusable(() => {
    const { ids, publicKey, signed, signature } = partsOf(der)
    const key = createPublicKey({ key: publicKey, format: 'der', type: 'spki' })
    return { ids, publicKey, isSigned: verify('sha256', signed, key, signature) }
  })
  if (!isSigned) throw unusable('it is not signed by its own key')
  const [id, ...others] = ids
  if (id === undefined || others.length > 0) throw unusable('its subject should have one user id (UID)')
  return { id, publicKey, keyHash: keyHashOf(publicKey) }
}

function asUnusable<T>(read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw cause instanceof RelayError ? cause : unusable('it cannot be read', cause)
  }
}

/** The parts of a request (RFC 2986, section 4). @throws {Error} when it is none; {RelayError} for another key or algorithm */
function partsOf(der: Buffer) {
  const request = expectTag(readElement(der, 0, der.length), TAG.sequence)
  if (request.end !== der.length) throw new Error('something follows it')
  const [info, algorithm, value] = elementsOf(der, request, 3)
  const [version, subject, key] = elementsOf(der, expectTag(info, TAG.sequence), 3)
  const publicKey = wholeOf(der, subject, key)
  checkKey(publicKey) // before anything is computed with it: a curve can be given by parameters of its own
  if (!wholeOf(der, info, algorithm).equals(SIGNED_BY)) throw unusable('it is not signed by ECDSA with SHA-256')
  const { start, end } = expectTag(value, TAG.bitString)
  expectTag(version, TAG.integer)
  if (der[start] !== 0) throw new Error('its signature has no whole bytes')
  return {
    ids: userIdsOf(der, subject),
    publicKey,
    signed: der.subarray(request.start, info?.end),
    signature: der.subarray(start + 1, end) // behind the number of unused bits
  }
}

/** The bytes of an element with its header. */
function wholeOf(der: Buffer, before: DerElement | undefined, element: DerElement | undefined): Buffer {
  return Buffer.from(der.subarray(before?.end, element?.end))
}

/** Checks the key by its bytes. */
function checkKey(spki: Buffer): void {
  if (spki.length === P256_SPKI_BYTES && spki.subarray(0, P256_SPKI_PREFIX.length).equals(P256_SPKI_PREFIX)) return
  throw unusable('its key is none on EC P-256, which is needed')
}

function unusable(why: string, cause?: unknown): RelayError {
  return new RelayError('INVALID_INPUT', `the certificate request cannot be used: ${why}`, { cause })
}
