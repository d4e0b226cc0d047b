import { hasCertificate } from '../../keys/certificates/pem.js'
import { UsageError } from '../command-error.js'

const EDGE = /-----(BEGIN|END) (?:TRUSTED |X509 )?CERTIFICATE-----/g

/** The text of a file that an option names for its certificates. @throws {UsageError} when it has none, or ends within one */
export function certificatesIn(option: string, path: string, text: string): string {
  if (!hasCertificate(text)) {
    throw new UsageError(`${option} ${path} holds no certificate in PEM form: name the file that holds one`)
  }
  const edges = [...text.matchAll(EDGE)].map(([, edge]) => edge)
  if (edges.at(-1) === 'END') return text
  throw new UsageError(`${option} ${path} ends within a certificate: copy the file again`)
}
