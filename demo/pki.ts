import 'reflect-metadata'
import { createHash, webcrypto } from 'node:crypto'
import { isIP } from 'node:net'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  type Extension,
  type JsonName,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  type X509Certificate,
  X509CertificateGenerator
} from '@peculiar/x509'
import { type KeyMaterial, makeKey, readKey } from './agent-keys.js'

/** `userId`: the subject's attribute that holds the node id (contract, "The nodes list"). */
const USER_ID_OID = '0.9.2342.19200300.100.1.1'
const VALIDITY_MS = 10 * 365 * 24 * 3_600_000
/** Clocks differ. */
const BACKDATE_MS = 3_600_000

/** Certificates that sign themselves use their own key; these are the keys that can be in one here. */
export type CertificateKeyKind = 'rsa' | 'ec'

/** A certificate with its private key. */
export interface CertificateMaterial extends KeyMaterial {
  readonly certificatePem: string
  readonly certificateDer: Buffer
  /** SHA-256 of the DER form, lower-case hex: what is pinned. */
  readonly fingerprint: string
}

/** A certificate that issues others. */
export interface Ca extends CertificateMaterial {
  readonly kind: CertificateKeyKind
  readonly subject: JsonName
}

export interface AgentCertificateOptions {
  readonly nodeId: string
  /** Goes into the alternative names beside `localhost`, `127.0.0.1` and `::1`. */
  readonly hostname: string
  /** @default 'ec' */
  readonly kind?: CertificateKeyKind
  /** An existing key (PEM, of `kind`), instead of a new one. */
  readonly privateKeyPem?: string
}

/** A certificate as an agent makes its own: self-signed, `UID=<node id>`, and (as openssl does it) CA:TRUE. */
export async function makeAgentCertificate(options: AgentCertificateOptions): Promise<CertificateMaterial> {
  const kind = options.kind ?? 'ec'
  const key = options.privateKeyPem === undefined ? await makeKey(kind) : readKey(options.privateKeyPem)
  return selfSign(key, kind, [{ [USER_ID_OID]: [options.nodeId] }], [alternativeNames(options.hostname)])
}

/** A self-signed authority. */
export async function makeCa(name = 'Test CA', kind: CertificateKeyKind = 'ec'): Promise<Ca> {
  const subject: JsonName = [{ CN: [name] }]
  return { ...(await selfSign(await makeKey(kind), kind, subject, [])), kind, subject }
}

/** The authority that a self-signed agent certificate is by mistake: it can sign others, since it is CA:TRUE. */
export function asCa(certificate: CertificateMaterial, nodeId: string, kind: CertificateKeyKind = 'ec'): Ca {
  return { ...certificate, kind, subject: [{ [USER_ID_OID]: [nodeId] }] }
}

/**
 * A certificate for a node, issued by `ca`; no CA itself.
 * `hostname` is put in the alternative names; `localhost` and the loopback addresses only when `loopback` is not false.
 */
export async function issueCertificate(
  ca: Ca,
  options: Omit<AgentCertificateOptions, 'nodeId'> & {
    /** Undefined: it names no node, as that of a web server does. */
    readonly nodeId: string | undefined
    readonly loopback?: boolean
  }
): Promise<CertificateMaterial> {
  const kind = options.kind ?? 'ec'
  const key = options.privateKeyPem === undefined ? await makeKey(kind) : readKey(options.privateKeyPem)
  const keys = await toWebKeys(key, kind)
  const caKeys = await toWebKeys(ca, ca.kind)
  const certificate = await X509CertificateGenerator.create({
    subject: [options.nodeId === undefined ? { CN: [options.hostname] } : { [USER_ID_OID]: [options.nodeId] }],
    issuer: ca.subject,
    publicKey: keys.publicKey,
    signingKey: caKeys.privateKey,
    signingAlgorithm: signingAlgorithm(ca.kind),
    ...validity(),
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      alternativeNames(options.hostname, options.loopback),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      await AuthorityKeyIdentifierExtension.create(caKeys.publicKey)
    ]
  })
  return describeCertificate(certificate, key)
}

async function selfSign(key: KeyMaterial, kind: CertificateKeyKind, name: JsonName, extensions: Extension[]) {
  const keys = await toWebKeys(key, kind)
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name,
    keys,
    signingAlgorithm: signingAlgorithm(kind),
    ...validity(),
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      ...extensions
    ]
  })
  return describeCertificate(certificate, key)
}

function describeCertificate(certificate: X509Certificate, key: KeyMaterial): CertificateMaterial {
  const certificateDer = Buffer.from(certificate.rawData)
  return {
    ...key,
    certificatePem: `${certificate.toString('pem')}\n`,
    certificateDer,
    fingerprint: createHash('sha256').update(certificateDer).digest('hex')
  }
}

function alternativeNames(hostname: string, loopback = true): SubjectAlternativeNameExtension {
  const names = new Set([hostname, ...(loopback ? ['localhost', '127.0.0.1', '::1'] : [])])
  return new SubjectAlternativeNameExtension(
    [...names].map(name => ({ type: isIP(name) === 0 ? ('dns' as const) : ('ip' as const), value: name }))
  )
}

function validity() {
  const now = Date.now()
  return { notBefore: new Date(now - BACKDATE_MS), notAfter: new Date(now + VALIDITY_MS) }
}

function signingAlgorithm(kind: CertificateKeyKind) {
  return kind === 'rsa' ? { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' } : { name: 'ECDSA', hash: 'SHA-256' }
}

/** The library signs with WebCrypto's keys. */
async function toWebKeys(key: KeyMaterial, kind: CertificateKeyKind): Promise<webcrypto.CryptoKeyPair> {
  const algorithm = kind === 'rsa' ? signingAlgorithm(kind) : { name: 'ECDSA', namedCurve: 'P-256' }
  const pkcs8 = key.privateKey.export({ type: 'pkcs8', format: 'der' })
  return {
    privateKey: await webcrypto.subtle.importKey('pkcs8', pkcs8, algorithm, true, ['sign']),
    publicKey: await webcrypto.subtle.importKey('spki', key.publicKeySpki, algorithm, true, ['verify'])
  }
}
