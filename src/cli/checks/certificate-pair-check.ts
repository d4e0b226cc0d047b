import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { UsageError } from '../command-error.js'

/** The text of a file, and how the user named that: `--cert cert.pem`. */
export interface NamedText {
  readonly name: string
  readonly text: string
}

/**
 * Checks that a certificate and a key belong together: TLS would only say so in OpenSSL's words, and not name the
 * file.
 * @throws {UsageError} naming both files
 */
export function checkCertificatePair(certificate: NamedText, key: NamedText): void {
  const x509 = certificateIn(certificate.text)
  if (x509 === undefined) throw new UsageError(`${certificate.name} holds no certificate that can be read`)
  const privateKey = privateKeyIn(key.text)
  if (privateKey === undefined) {
    throw new UsageError(`${key.name} holds no private key in PEM form without a passphrase`)
  }
  if (!x509.checkPrivateKey(privateKey)) {
    throw new UsageError(`${key.name} is not the key of ${certificate.name}: they go together`)
  }
}

/** @returns undefined when it is none, or has a passphrase */
export function privateKeyIn(pem: string): KeyObject | undefined {
  try {
    return createPrivateKey(pem)
  } catch {
    return undefined
  }
}

function certificateIn(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem)
  } catch {
    return undefined
  }
}
