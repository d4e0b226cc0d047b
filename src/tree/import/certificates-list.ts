import { createHash } from 'node:crypto'
import { byteOrderMarkLength, utf16Problem } from '../../file-system/files/byte-order-mark.js'
import { BEGIN_CERTIFICATE, CERTIFICATE_LABELS, labelOf } from '../../keys/certificates/pem.js'

/** Bound of a certificates file: 100,000 nodes with two certificates of 4096-bit keys each. */
export const MAX_CERTIFICATES_BYTES = 512 * 1024 * 1024

/** A certificate of 100 kB is not one. */
const MAX_BLOCK_BYTES = 100_000

const DASH = 0x2d
const LINE_FEED = 0x0a
const BASE64 =
  /^(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$|^(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)$/

/** A certificates file that cannot be used. The message names the file and the line. */
export class CertificatesListError extends Error {
  override name = 'CertificatesListError'
}

export interface ListedCertificate {
  readonly der: Buffer
  /** SHA-256 of `der`, 32 bytes. */
  readonly fingerprint: Buffer
  /** The line on which its block begins, from 1. */
  readonly line: number
}

/** A PEM block that is no certificate. */
export interface ForeignBlock {
  /** The label in its first line, such as `PRIVATE KEY`. */
  readonly label: string
  readonly line: number
}

/**
 * Reads concatenated PEM certificates (RFC 7468), one at a time. Text between the blocks is ignored, as OpenSSL does;
 * a line of it that begins with a dash is not, since it is what is left of a marker. Blocks of other kinds (keys,
 * `TRUSTED CERTIFICATE`, `PKCS7`) are skipped.
 *
 * @param source how messages call the file: its path
 * @param onForeign is told of each block that is skipped
 * @throws {CertificatesListError} for a block that is incomplete, or a certificate that is no base64, once it is reached
 */
export function* parseCertificates(
  file: Buffer,
  source: string,
  onForeign: (block: ForeignBlock) => void = () => undefined
): Generator<ListedCertificate> {
  const fail = (line: number, what: string): CertificatesListError =>
    new CertificatesListError(`cannot use the certificates file ${source}: line ${line}: ${what}`)
  const problem = utf16Problem(file)
  if (problem !== undefined) throw new CertificatesListError(`cannot use the certificates file ${source}: ${problem}`)
  let begun: { readonly label: string; readonly line: number; readonly offset: number } | undefined
  for (const { line, start, end } of linesOf(file)) {
    if (file[start] !== DASH) continue
    const marker = file.toString('latin1', start, Math.min(end, start + 80)).trimEnd()
    if (!begun) {
      const label = labelOf(marker)
      if (label === undefined) throw fail(line, `expected ${BEGIN_CERTIFICATE}, found ${JSON.stringify(marker)}`)
      begun = { label, line, offset: end }
      continue
    }
    const expected = `-----END ${begun.label}-----`
    if (marker !== expected) throw fail(line, `expected ${expected}, found ${JSON.stringify(marker)}`)
    if (CERTIFICATE_LABELS.includes(begun.label)) {
      if (start - begun.offset > MAX_BLOCK_BYTES) throw fail(begun.line, 'this is too long for a certificate')
      const base64 = file.toString('latin1', begun.offset, start).replace(/\s+/g, '')
      if (!BASE64.test(base64)) throw fail(begun.line, 'this certificate is not base64')
      const der = Buffer.from(base64, 'base64')
      yield { der, fingerprint: createHash('sha256').update(der).digest(), line: begun.line }
    } else onForeign({ label: begun.label, line: begun.line })
    begun = undefined
  }
  if (begun) throw fail(begun.line, `this ${begun.label.toLowerCase()} has no end: the file may have been cut off`)
}

function* linesOf(file: Buffer): Generator<{ line: number; start: number; end: number }> {
  let line = 1
  for (let start = byteOrderMarkLength(file); start < file.length; line++) {
    const feed = file.indexOf(LINE_FEED, start)
    const end = feed < 0 ? file.length : feed
    yield { line, start, end }
    start = end + 1
  }
}
