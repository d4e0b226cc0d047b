import { createHash, X509Certificate } from 'node:crypto'

/** SHA-256 of a certificate's DER form, lower-case hex. */
export function fingerprint(der: Buffer): string {
  return createHash('sha256').update(der).digest('hex')
}

/** The {@link fingerprint} of a certificate in PEM. @param pem one certificate */
export function fingerprintOfPem(pem: string): string {
  return fingerprint(new X509Certificate(pem).raw)
}
