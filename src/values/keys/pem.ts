/** The line with which a certificate begins in PEM form (RFC 7468, section 5). */
export const BEGIN_CERTIFICATE = '-----BEGIN CERTIFICATE-----'
const END_CERTIFICATE = '-----END CERTIFICATE-----'
const BLOCK = new RegExp(`${BEGIN_CERTIFICATE}[^-]*${END_CERTIFICATE}`, 'g')

/** The certificates in a text in PEM form, each as a block of its own; whether they can be read is not checked. */
export function certificateBlocks(pem: string): string[] {
  return pem.match(BLOCK) ?? []
}

/** A certificate in PEM form, 64 characters a line. @param der the certificate */
export function formatCertificate(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return `${BEGIN_CERTIFICATE}\n${lines.join('\n')}\n${END_CERTIFICATE}\n`
}
