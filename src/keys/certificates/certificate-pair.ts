import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { errorMessage } from '../../values/failures/system-error.js'

/** Two texts about a certificate and its private key: both in PEM form, or the names of both. */
export interface OfPair {
  readonly cert: string
  readonly key: string
}

/**
 * Reads a certificate and its private key. TLS takes an empty text for none, and tells of others in OpenSSL's words.
 * @param names the names of both for messages, such as the setting and its file
 * @throws {Error} naming the one that cannot be read, or both where they do not belong together
 */
export function readCertificatePair(
  { cert, key }: OfPair,
  names: OfPair
): { readonly certificate: X509Certificate; readonly key: KeyObject } {
  const certificate = readAs(names.cert, 'certificate', () => new X509Certificate(cert))
  const privateKey = readAs(names.key, 'private key', () => createPrivateKey(key))
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new Error(`${names.key} is not the key of ${names.cert}: they go together`)
  }
  return { certificate, key: privateKey }
}

function readAs<T>(name: string, kind: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw new Error(`${name} holds no readable ${kind} in PEM form (${errorMessage(cause)})`, { cause })
  }
}
