import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign, type X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { type OfPair, readCertificatePair } from '../../keys/certificates/certificate-pair.js'
import { CALL_URN, PURPOSE_URN, SERVICE_PURPOSE } from '../../keys/certificates/certificate-purpose.js'
import { canonicalHost } from '../../network/host-name.js'
import { RelayError } from '../../values/failures/relay-error.js'
import { digestFor } from '../revocations/revocation-list.js'
import { SIGNING, toWebKeys, toWebPublicKey, USER_ID_OID, x509 } from '../x509.js'
import type { JsonGeneralNames, X509CertificateCreateParamsName } from '../x509-library.js'

/** The purpose of a certificate of a member. The root's own is a relay's. */
export type CertificatePurpose = 'relay' | 'node'

export interface CallerCertificateRequest {
  /** The services that its holder may call: keys, which may end with `*`. */
  readonly keys: readonly string[]
  /** SubjectPublicKeyInfo of an EC P-256 key, DER. */
  readonly publicKey: Buffer
  readonly nowMs: number
  readonly lifetimeMs: number
}

export interface IssueRequest {
  readonly id: string
  readonly purpose: CertificatePurpose
  /** A relay's, in canonical form: what others reach it by. A node's certificate has none: nobody connects to it. */
  readonly hostnames: readonly string[]
  /** SubjectPublicKeyInfo of an EC P-256 key, DER. */
  readonly publicKey: Buffer
  readonly nowMs: number
  readonly lifetimeMs: number
}

export interface CertificateAuthority {
  /** PEM. */
  readonly certificate: string
  /** The certificate, DER. */
  readonly der: Buffer
  /** SHA-256 of the certificate's DER. */
  readonly hash: Buffer
  /** @returns DER @throws {RelayError} CONFLICT for a host name that is not in canonical form */
  issue(request: IssueRequest): Promise<Buffer>
  /** Issues a certificate to call services with. @returns DER */
  issueForCaller(request: CallerCertificateRequest): Promise<Buffer>
  /** A signature by the CA's key. The text says what it is for in its first line. */
  sign(text: Buffer): Buffer
}

const CA_LIFETIME_MS = 20 * 365 * 24 * 3_600_000
/** Clocks differ. A certificate that lives shorter than ten times this is dated back by a tenth of its life. */
const BACKDATE_MS = 3_600_000

/** A new authority, for a new tree. @returns PEM, both; the key is for the root alone */
export async function makeAuthority(name: string, nowMs: number): Promise<{ certificate: string; key: string }> {
  const {
    BasicConstraintsExtension,
    KeyUsageFlags,
    KeyUsagesExtension,
    SubjectKeyIdentifierExtension,
    X509CertificateGenerator
  } = await x509()
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const keys = await toWebKeys(privateKey)
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: makeSerial(),
    name: [{ CN: [name] }],
    keys,
    signingAlgorithm: SIGNING,
    notBefore: new Date(nowMs - BACKDATE_MS),
    notAfter: new Date(nowMs + CA_LIFETIME_MS),
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey)
    ]
  })
  return {
    certificate: `${certificate.toString('pem')}\n`,
    key: String(privateKey.export({ type: 'pkcs8', format: 'pem' }))
  }
}

/**
 * @param names for messages, such as the settings and their files
 * @throws {Error} when one of the two cannot be read, or they do not belong together
 */
export function openAuthority(
  pem: { readonly certificate: string; readonly key: string },
  names: OfPair = { cert: "the CA's certificate", key: "the CA's key" }
): CertificateAuthority {
  const { certificate, key } = readCertificatePair({ cert: pem.certificate, key: pem.key }, names)
  return {
    certificate: certificate.toString(),
    der: certificate.raw,
    hash: createHash('sha256').update(certificate.raw).digest(),
    issue: request => issue(certificate, key, request),
    issueForCaller: request => issueForCaller(certificate, key, request),
    sign: text => sign(digestFor(key), text, key)
  }
}

async function issue(ca: X509Certificate, key: KeyObject, request: IssueRequest): Promise<Buffer> {
  const library = await x509()
  const { ExtendedKeyUsage } = library
  const { id, purpose, hostnames } = request
  const odd = hostnames.find(hostname => canonicalHost(hostname) !== hostname)
  // it could be another spelling of a name that is someone else's
  if (odd !== undefined) {
    throw new RelayError(
      'CONFLICT',
      `no certificate is issued for the host name ${JSON.stringify(odd)}: ${id} has to join again`
    )
  }
  const names = hostnames.map(value => ({ type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const), value }))
  // without serverAuth, a node cannot pass for a relay, whatever host name it says it has
  const usages =
    purpose === 'relay' ? [ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth] : [ExtendedKeyUsage.clientAuth]
  return makeLeaf(ca, key, {
    ...request,
    subject: [{ [USER_ID_OID]: [id] }],
    usages,
    names: [...names, { type: 'url', value: PURPOSE_URN + purpose }]
  })
}

/** Issues a certificate of the purpose `service`. It names no member: nobody is known by it but for calls of services. */
async function issueForCaller(ca: X509Certificate, key: KeyObject, request: CallerCertificateRequest): Promise<Buffer> {
  const { ExtendedKeyUsage } = await x509()
  const uris = [PURPOSE_URN + SERVICE_PURPOSE, ...request.keys.map(one => CALL_URN + one)]
  return makeLeaf(ca, key, {
    ...request,
    subject: [{ CN: ['treeline caller of services'] }],
    usages: [ExtendedKeyUsage.clientAuth],
    names: uris.map(value => ({ type: 'url', value }))
  })
}

interface Leaf extends Pick<IssueRequest, 'publicKey' | 'nowMs' | 'lifetimeMs'> {
  readonly subject: X509CertificateCreateParamsName
  readonly usages: readonly string[]
  readonly names: JsonGeneralNames
}

async function makeLeaf(
  ca: X509Certificate,
  key: KeyObject,
  { subject, usages, names, publicKey: spki, nowMs, lifetimeMs }: Leaf
): Promise<Buffer> {
  const library = await x509()
  const { KeyUsageFlags } = library
  const caKeys = await toWebKeys(key)
  const publicKey = await toWebPublicKey(spki)
  const certificate = await library.X509CertificateGenerator.create({
    serialNumber: makeSerial(),
    subject,
    issuer: new library.X509Certificate(ca.raw).subjectName,
    publicKey,
    signingKey: caKeys.privateKey,
    signingAlgorithm: SIGNING,
    notBefore: new Date(nowMs - Math.min(BACKDATE_MS, lifetimeMs / 10)),
    notAfter: new Date(nowMs + lifetimeMs),
    extensions: [
      new library.BasicConstraintsExtension(false, undefined, true),
      new library.KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new library.ExtendedKeyUsageExtension([...usages]),
      new library.SubjectAlternativeNameExtension(names),
      await library.SubjectKeyIdentifierExtension.create(publicKey),
      await library.AuthorityKeyIdentifierExtension.create(caKeys.publicKey)
    ]
  })
  return Buffer.from(certificate.rawData)
}

/** 127 random bits, positive (RFC 5280, section 4.1.2.2). */
function makeSerial(): string {
  const bytes = randomBytes(16)
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40
  return bytes.toString('hex')
}
