import { readCertificatePair } from '../../keys/certificates/certificate-pair.js'
import { errorMessage } from '../../values/failures/system-error.js'
import { UsageError } from '../command-error.js'

/** The text of a file, and how the user named that: `--cert cert.pem`. */
export interface NamedText {
  readonly name: string
  readonly text: string
}

/** @throws {UsageError} when a certificate or a key cannot be read, or they do not belong together */
export function checkCertificatePair(certificate: NamedText, key: NamedText): void {
  try {
    readCertificatePair({ cert: certificate.text, key: key.text }, { cert: certificate.name, key: key.name })
  } catch (cause) {
    throw new UsageError(errorMessage(cause), { cause })
  }
}
