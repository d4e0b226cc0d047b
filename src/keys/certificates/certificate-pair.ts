import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { errorCode } from '../../values/failures/system-error.js'

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
  const certificate = parseCertificate(cert, names.cert)
  readEveryCertificate(cert, names.cert)
  const privateKey = parsePrivateKey(key, names.key)
  checkBelongs(certificate, privateKey, names)
  return { certificate, key: privateKey }
}

/** @throws {Error} naming both, when it is the key of another certificate */
export function checkBelongs(certificate: X509Certificate, key: KeyObject, names: OfPair): void {
  if (!certificate.checkPrivateKey(key))
    throw new Error(`${names.key} is not the key of ${names.cert}: they go together`)
}

/** @throws {Error} naming it by `name`, when it is no certificate */
export function parseCertificate(pem: string, name: string): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch (cause) {
    throw new Error(`${name} ${whyUnusable(pem, 'certificate')}`, { cause })
  }
}

/** Splits a text before each certificate, in any of the forms that OpenSSL reads. */
const BEFORE_CERTIFICATE = /(?=-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----)/

/**
 * Reads all certificates of a text: a chain, or those to trust. Of the latter TLS would take an empty text for the system's
 * CAs, one without certificates for nobody, and would leave out all behind one that it cannot read, without a word.
 * @throws {Error} naming it by `name`, when it has none, or one that cannot be read
 */
export function readEveryCertificate(pem: string, name: string): X509Certificate[] {
  const parts = pem.split(BEFORE_CERTIFICATE).filter(part => BEFORE_CERTIFICATE.test(part))
  if (parts.length < 2) return [parseCertificate(pem, name)]
  return parts.map((part, index) => {
    try {
      return new X509Certificate(part)
    } catch (cause) {
      const which = `the certificate ${index + 1} of the ${parts.length} in it`
      throw new Error(`${name}: ${which} cannot be read: remove it, or restore the file from a backup`, { cause })
    }
  })
}

/** @throws {Error} naming it by `name`, when it is no private key, or has a passphrase */
export function parsePrivateKey(pem: string, name: string): KeyObject {
  try {
    return createPrivateKey(pem)
  } catch (cause) {
    if (errorCode(cause) === 'ERR_MISSING_PASSPHRASE') {
      throw new Error(`${name} has a passphrase: keys of TLS are used without one`, { cause })
    }
    throw new Error(`${name} ${whyUnusable(pem, 'private key')}`, { cause })
  }
}

/** OpenSSL's own words name neither the file nor what to do. */
function whyUnusable(pem: string, kind: string): string {
  if (pem.trim() === '') return 'is empty: restore it from a backup (a member of a tree can join again)'
  return `holds no readable ${kind} in PEM form: name the file that holds one, or restore it from a backup`
}
