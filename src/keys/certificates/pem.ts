/** The line with which a certificate begins in PEM form (RFC 7468, section 5). */
export const BEGIN_CERTIFICATE = '-----BEGIN CERTIFICATE-----'
const END_CERTIFICATE = '-----END CERTIFICATE-----'
const BLOCK = new RegExp(`${BEGIN_CERTIFICATE}[^-]*${END_CERTIFICATE}`, 'g')

/** The older one is in files of OpenSSL. */
export const CERTIFICATE_LABELS: readonly string[] = ['CERTIFICATE', 'X509 CERTIFICATE']
const BEGIN = /^-----BEGIN ([A-Z0-9][A-Z0-9 ]{0,40})-----$/

/** The label with which a line begins a block, such as `CERTIFICATE`; undefined: the line begins none. */
export function labelOf(line: string): string | undefined {
  return BEGIN.exec(line)?.[1]
}

/** Whether a text has a certificate in any of the forms that OpenSSL reads. */
export function hasCertificate(pem: string): boolean {
  return /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----/.test(pem)
}

/** The certificates in a text in PEM form, each as a block of its own; whether they can be read is not checked. */
export function certificateBlocks(pem: string): string[] {
  return pem.match(BLOCK) ?? []
}

/** A certificate in PEM form, 64 characters a line. @param der the certificate */
export function formatCertificate(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return `${BEGIN_CERTIFICATE}\n${lines.join('\n')}\n${END_CERTIFICATE}\n`
}
