import { createPrivateKey, X509Certificate } from 'node:crypto'
import { errorMessage } from '../../values/failures/system-error.js'
import type { CertificateCredentials } from './challenge.js'

/** A certificate and its private key, PEM. */
interface Pair {
  readonly cert: string
  readonly key: string
}

/** The names of a certificate and its key, for messages. */
interface Names {
  readonly cert: string
  readonly key: string
}

/**
 * Reads the certificate and key by which a link proves who opens it.
 * @param names the names of both for messages, such as the setting and its file
 * @throws {Error} naming the one that cannot be read, or both where they do not belong together
 */
export function readCredentials(
  { cert, key }: Pair,
  names: Names = { cert: 'the certificate', key: 'the private key' }
): CertificateCredentials {
  const certificate = readAs(names.cert, 'certificate', () => new X509Certificate(cert))
  const privateKey = readAs(names.key, 'private key', () => createPrivateKey(key))
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new Error(`${names.key} is not the key of ${names.cert}: they go together`)
  }
  return { certificate: certificate.raw, key: privateKey }
}

function readAs<T>(name: string, kind: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw new Error(`${name} holds no readable ${kind} in PEM form (${errorMessage(cause)})`, { cause })
  }
}
