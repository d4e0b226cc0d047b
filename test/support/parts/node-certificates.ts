import 'reflect-metadata'
import { createHash, webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'

const UID = '0.9.2342.19200300.100.1.1'
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const DAY_MS = 86_400_000

export interface NodeCertificate {
  readonly der: Buffer
  readonly pem: string
  /** SHA-256 of the DER, lower-case hex. */
  readonly fingerprint: string
}

/**
 * A self-signed certificate, as an agent makes it.
 * @param userIds of the subject, each in a name part of its own
 */
export async function makeNodeCertificate(...userIds: readonly string[]): Promise<NodeCertificate> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      name: [{ CN: ['node'] }, ...userIds.map(userId => ({ [UID]: [userId] }))],
      keys,
      signingAlgorithm: ALGORITHM,
      notBefore: new Date(Date.now() - DAY_MS),
      notAfter: new Date(Date.now() + DAY_MS)
    },
    webcrypto
  )
  const der = Buffer.from(certificate.rawData)
  const pem = `${certificate.toString('pem')}\n`
  return { der, pem, fingerprint: createHash('sha256').update(der).digest('hex') }
}
