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
/** The pieces in which a ClientHello may come. Networks cut it into four or so; each costs a turn of the event loop. */
export const MAX_HELLO_PIECES = 64

/**
 * The kind of a connection's first bytes: a `whole` ClientHello, a `part` of one, `other` bytes, which TLS refuses at
 * once, `faulty` ones, which it may not refuse, or one that is `too-long`.
 */
export type FirstBytes = 'whole' | 'part' | 'other' | 'faulty' | 'too-long'

/** Calls `onHello` once the whole ClientHello is there; it stays in the socket, for TLS to read. */
export function awaitHello(socket: Socket, limitMs: number, onHello: () => void): void {
  let seen: Buffer[] = []
  const judge = new FirstBytesJudge()
  const timer = setTimeout(() => socket.destroy(), limitMs).unref()
  const stop = () => {
    clearTimeout(timer)
    socket.off('readable', read)
    socket.off('end', end)
    socket.off('close', stop)
  }
  const read = () => {
    let first: FirstBytes = 'part'
    for (let chunk: Buffer | null = socket.read(); chunk !== null; chunk = socket.read()) {
      seen.push(chunk)
      if (first === 'part') first = judge.read(chunk)
    }
    if (first === 'part' && seen.length <= MAX_HELLO_PIECES) return
    stop()
    if (first !== 'whole' && first !== 'other') {
      socket.destroy()
      return
    }
    socket.unshift(Buffer.concat(seen))
    seen = [] // a link stands for months
    onHello()
  }
  const end = () => socket.destroy()
  socket.on('readable', read)
  socket.once('end', end)
  socket.once('close', stop)
}

/** Judges the first bytes of a connection as they come, each of them once. */
export class FirstBytesJudge {
  readonly #recordHeader: number[] = []
  readonly #messageHeader: number[] = []
  #leftOfRecord = 0
  #held = 0
  #bytes = 0

  /**
   * The message may be spread over several records: the length that it names counts, not that of a record.
   * @returns the kind of all bytes so far; after anything but `part` it is not asked again
   */
  read(chunk: Buffer): FirstBytes {
    this.#bytes += chunk.length
    for (let at = 0; at < chunk.length; ) {
      if (this.#leftOfRecord === 0) {
        const faulty = this.#readHeader(chunk[at] ?? 0)
        if (faulty !== undefined) return faulty
        at += 1
        continue
      }
      const content = chunk.subarray(at, at + this.#leftOfRecord)
      at += content.length
      this.#leftOfRecord -= content.length
      this.#held += content.length
      this.#messageHeader.push(...content.subarray(0, MESSAGE_HEADER_BYTES - this.#messageHeader.length))
      if (this.#messageHeader[0] !== CLIENT_HELLO) return 'other'
      if (this.#held >= bytesOfMessage(this.#messageHeader) && this.#leftOfRecord === 0) return 'whole'
    }
    return Math.max(this.#bytes, bytesOfMessage(this.#messageHeader)) > MAX_HELLO_BYTES ? 'too-long' : 'part'
  }

  /** Takes a byte of a record's header. @returns what is wrong with it; undefined when nothing is so far */
  #readHeader(byte: number): 'other' | 'faulty' | undefined {
    const header = this.#recordHeader
    header.push(byte)
    if (header[0] !== HANDSHAKE_RECORD) return 'other'
    if (header.length < RECORD_HEADER_BYTES) return undefined
    const [, , , high = 0, low = 0] = header
    header.length = 0
    this.#leftOfRecord = high * 0x1_00 + low
    if (this.#leftOfRecord === 0) return 'faulty' // RFC 8446, section 5.1: no empty ones
    return this.#leftOfRecord > MAX_RECORD_BYTES ? 'other' : undefined
  }
}

/** The length of a message with its own header; as long as that is not whole, more than is there. */
function bytesOfMessage(header: readonly number[]): number {
  const [, high = 0, middle = 0, low = 0] = header
  if (header.length < MESSAGE_HEADER_BYTES) return MESSAGE_HEADER_BYTES
  return MESSAGE_HEADER_BYTES + high * 0x1_00_00 + middle * 0x1_00 + low
}
