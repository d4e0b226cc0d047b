import { createHash, X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { PURPOSE_URN } from '../keys/certificates/certificate-purpose.js'
import { canonicalHost } from '../network/host-name.js'
import type { MemberCertificate } from './members.js'

/** A certificate as it is kept. @param der of an X.509 certificate */
export function memberCertificate(memberId: string, der: Buffer): MemberCertificate {
  const certificate = new X509Certificate(der)
  return {
    fingerprint: createHash('sha256').update(der).digest(),
    memberId,
    serial: certificate.serialNumber,
    der,
    notBeforeMs: Date.parse(certificate.validFrom),
    notAfterMs: Date.parse(certificate.validTo)
  }
}

/** The host names and addresses that a certificate of ours is good for; addresses in the form in which names are compared. */
export function hostnamesOf(der: Buffer): string[] {
  const names = new X509Certificate(der).subjectAltName ?? ''
  return [...names.matchAll(/(?:^|, )(?:DNS|IP Address):([A-Za-z0-9_.:-]+)/g)].map(([, name = '']) =>
    isIP(name) === 0 ? name : (canonicalHost(name) ?? name)
  )
}

/** Whether the root of a tree issued it, and renews it: it says what it is for. */
export function isIssued(certificate: X509Certificate): boolean {
  return certificate.subjectAltName?.includes(PURPOSE_URN) === true
}
