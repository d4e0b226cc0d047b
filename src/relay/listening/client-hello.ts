import type { Socket } from 'node:net'

/** RFC 8446, section 5.1: type, version and length come before what a record holds. */
const RECORD_HEADER_BYTES = 5
const HANDSHAKE_RECORD = 22
const MAX_RECORD_BYTES = 1 << 14
/** RFC 8446, section 4: type and length come before what a message of the handshake holds. */
const MESSAGE_HEADER_BYTES = 4
const CLIENT_HELLO = 1
/** A ClientHello with the headers of its records. One with post-quantum keys and a session ticket has about 5 KiB. */
export const MAX_HELLO_BYTES = 16 * 1024

/**
 * The kind of a connection's first bytes: a `whole` ClientHello, a `part` of one, `other` bytes, which TLS refuses at
 * once, or one that is `too-long`.
 */
export type FirstBytes = 'whole' | 'part' | 'other' | 'too-long'

/** Calls `onHello` once the whole ClientHello is there; it stays in the socket, for TLS to read. */
export function awaitHello(socket: Socket, limitMs: number, onHello: () => void): void {
  let seen = Buffer.alloc(0)
  const timer = setTimeout(() => socket.destroy(), limitMs).unref()
  const stop = () => {
    clearTimeout(timer)
    socket.off('readable', read)
    socket.off('end', end)
  }
  const read = () => {
    for (let chunk: Buffer | null = socket.read(); chunk !== null; chunk = socket.read()) {
      seen = Buffer.concat([seen, chunk])
    }
    const first = judgeFirstBytes(seen)
    if (first === 'part') return
    stop()
    if (first === 'too-long') {
      socket.destroy()
      return
    }
    socket.unshift(seen)
    onHello()
  }
  const end = () => socket.destroy()
  socket.on('readable', read)
  socket.once('end', end)
  socket.once('close', stop)
}

/** The message may be spread over several records: the length that it names counts, not that of a record. */
export function judgeFirstBytes(bytes: Buffer): FirstBytes {
  const header: number[] = []
  let held = 0
  for (let at = 0; at < bytes.length; ) {
    if (bytes[at] !== HANDSHAKE_RECORD) return 'other'
    if (bytes.length < at + RECORD_HEADER_BYTES) break
    const length = bytes.readUInt16BE(at + 3)
    if (length > MAX_RECORD_BYTES) return 'other'
    const content = bytes.subarray(at + RECORD_HEADER_BYTES, at + RECORD_HEADER_BYTES + length)
    header.push(...content.subarray(0, MESSAGE_HEADER_BYTES - header.length))
    if (header.length > 0 && header[0] !== CLIENT_HELLO) return 'other'
    held += content.length
    if (held >= bytesOfMessage(header) && content.length === length) return 'whole'
    at += RECORD_HEADER_BYTES + length
  }
  return bytes.length > MAX_HELLO_BYTES || bytesOfMessage(header) > MAX_HELLO_BYTES ? 'too-long' : 'part'
}

/** The length of a message with its own header; as long as that is not whole, more than is there. */
function bytesOfMessage(header: readonly number[]): number {
  const [, high = 0, middle = 0, low = 0] = header
  if (header.length < MESSAGE_HEADER_BYTES) return MESSAGE_HEADER_BYTES
  return MESSAGE_HEADER_BYTES + high * 0x1_00_00 + middle * 0x1_00 + low
}
