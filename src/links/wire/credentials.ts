import { createPrivateKey, X509Certificate } from 'node:crypto'
import type { CertificateCredentials } from './challenge.js'

/** @param pem certificate and private key. @throws {Error} when one cannot be read, or they do not belong together */
export function readCredentials(pem: { readonly cert: string; readonly key: string }): CertificateCredentials {
  const certificate = new X509Certificate(pem.cert)
  const key = createPrivateKey(pem.key)
  if (!certificate.checkPrivateKey(key)) throw new Error('the private key is not that of the certificate')
  return { certificate: certificate.raw, key }
}
