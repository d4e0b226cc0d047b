import { type OfPair, readCertificatePair } from '../../keys/certificates/certificate-pair.js'
import type { CertificateCredentials } from './challenge.js'

/**
 * Reads the certificate and key by which a link proves who opens it.
 * @param pair both in PEM form
 * @param names the names of both for messages, such as the setting and its file
 * @throws {Error} naming the one that cannot be read, or both where they do not belong together
 */
export function readCredentials(
  pair: OfPair,
  names: OfPair = { cert: 'the certificate', key: 'the private key' }
): CertificateCredentials {
  const { certificate, key } = readCertificatePair(pair, names)
  return { certificate: certificate.raw, key }
}
