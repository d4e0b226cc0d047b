import type { KeyObject } from 'node:crypto'
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

/** The size of a request; one as we make it has some 200 bytes. */
const MAX_REQUEST_BYTES = 2_048

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
 * else.
 * @throws {RelayError} INVALID_INPUT
 */
export async function readRequest(der: Buffer): Promise<CertificateRequest> {
  if (der.length === 0 || der.length > MAX_REQUEST_BYTES) throw unusable(`it has ${der.length} bytes`)
  const { Pkcs10CertificateRequest } = await x509()
  let found: { id: string | undefined; publicKey: Buffer; isSigned: boolean }
  try {
    const request = new Pkcs10CertificateRequest(der)
    const ids = request.subjectName.getField(USER_ID_OID)
    const publicKey = Buffer.from(request.publicKey.rawData)
    checkKey(publicKey)
    found = { id: ids.length === 1 ? ids[0] : undefined, publicKey, isSigned: await request.verify() }
  } catch (cause) {
    if (cause instanceof RelayError) throw cause
    throw unusable('it cannot be read', cause)
  }
  const { id, publicKey, isSigned } = found
  if (!isSigned) throw unusable('it is not signed by its own key')
  if (id === undefined) throw unusable('its subject should have one user id (UID)')
  return { id, publicKey, keyHash: keyHashOf(publicKey) }
}

/** Checks the key by its bytes, before anything is computed with it: a curve can be given by parameters of its own. */
function checkKey(spki: Buffer): void {
  if (spki.length === P256_SPKI_BYTES && spki.subarray(0, P256_SPKI_PREFIX.length).equals(P256_SPKI_PREFIX)) return
  throw unusable('its key is none on EC P-256, which is needed')
}

function unusable(why: string, cause?: unknown): RelayError {
  return new RelayError('INVALID_INPUT', `the certificate request cannot be used: ${why}`, { cause })
}
