import { createHash } from 'node:crypto'

/** SHA-256 of a certificate's DER form, lower-case hex. */
export function fingerprint(der: Buffer): string {
  return createHash('sha256').update(der).digest('hex')
}
