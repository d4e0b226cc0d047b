import { createHash, createPublicKey, type KeyObject } from 'node:crypto'
import { RelayError } from '../values/relay-error.js'
import { SIGNING, toWebKeys, USER_ID_OID, x509 } from './x509.js'

/** What a certificate request says, its signature checked. */
export interface CertificateRequest {
  /** Of the subject. */
  readonly id: string
  /** SubjectPublicKeyInfo of an EC P-256 key, DER. */
  readonly publicKey: Buffer
  /** SHA-256 of it. */
  readonly keyHash: Buffer
}

/** Of a request as we make it: some 200 bytes. */
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

/** Who made it has the private key: that is all it proves. @throws {RelayError} INVALID_INPUT */
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
  return { id, publicKey, keyHash: createHash('sha256').update(publicKey).digest() }
}

function checkKey(spki: Buffer): void {
  const { asymmetricKeyType, asymmetricKeyDetails } = createPublicKey({ key: spki, format: 'der', type: 'spki' })
  if (asymmetricKeyType === 'ec' && asymmetricKeyDetails?.namedCurve === 'prime256v1') return
  throw unusable(`its key is of type ${asymmetricKeyType}: EC P-256 is needed`)
}

function unusable(why: string, cause?: unknown): RelayError {
  return new RelayError('INVALID_INPUT', `the certificate request cannot be used: ${why}`, { cause })
}
