/** RFC 8446, section 5.1: type, version and length come before what a record holds. */
const RECORD_HEADER_BYTES = 5
const HANDSHAKE_RECORD = 22
const MAX_RECORD_BYTES = 1 << 14

/**
 * Whether TLS can begin with what came: the whole first record, or bytes that no handshake begins with, which TLS
 * refuses at once.
 */
export function isWholeHello(bytes: Buffer): boolean {
  if (bytes.length === 0) return false
  if (bytes[0] !== HANDSHAKE_RECORD) return true
  if (bytes.length < RECORD_HEADER_BYTES) return false
  const length = bytes.readUInt16BE(3)
  return length > MAX_RECORD_BYTES || bytes.length >= RECORD_HEADER_BYTES + length
}
