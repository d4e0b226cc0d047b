import { CR, describeCharacter, LF } from './characters.js'
import type { Fields } from './fields.js'
import type { RequestHead, ResponseHead } from './heads.js'

/** All but what may stand in a line of a head: a line break there would begin another header. */
const FORBIDDEN = /[^\t\x20-\x7e\x80-\xff]/

/** `GET /path HTTP/1.1`: always 1.1, our own version. */
export function requestLine({ method, target }: Pick<RequestHead, 'method' | 'target'>): string {
  return `${method} ${target} HTTP/1.1`
}

/** `HTTP/1.1 200 OK`: always 1.1, our own version. */
export function statusLine({ status, reason }: Pick<ResponseHead, 'status' | 'reason'>): string {
  return `HTTP/1.1 ${status} ${reason}`
}

/**
 * A head as bytes, with the empty line at its end.
 * @throws {TypeError} if a character in it would make it another head
 */
export function formatHead(startLine: string, fields: Fields): Buffer {
  return Buffer.from(`${checked(startLine)}\r\n${formatFields(fields)}\r\n`, 'latin1')
}

function formatFields(fields: Fields): string {
  let text = ''
  for (let at = 0; at + 1 < fields.length; at += 2) {
    text += `${checked(fields[at] ?? '')}: ${checked(fields[at + 1] ?? '')}\r\n`
  }
  return text
}

function checked(text: string): string {
  const found = FORBIDDEN.exec(text)
  if (found === null) return text
  throw new TypeError(`a head to be sent has ${describeCharacter(found[0].charCodeAt(0))} in it`)
}

const LINE_END = Buffer.from('\r\n')
const LAST_CHUNK = Buffer.from('0\r\n\r\n')
/** Up to here a copy costs less than two more pieces to write. */
const COPIED_BYTES = 8 * 1024

/** A piece of a body as a chunk: buffers to be written one behind the other. An empty piece is no chunk. */
export function formatChunk(piece: Buffer): readonly Buffer[] {
  if (piece.length === 0) return []
  const size = `${piece.length.toString(16)}\r\n`
  if (piece.length > COPIED_BYTES) return [Buffer.from(size, 'latin1'), piece, LINE_END]
  const end = size.length + piece.length
  const chunk = Buffer.allocUnsafe(end + 2)
  for (let at = 0; at < size.length; at += 1) chunk[at] = size.charCodeAt(at)
  chunk.set(piece, size.length)
  chunk[end] = CR
  chunk[end + 1] = LF
  return [chunk]
}

/** The end of a body in chunks. @throws {TypeError} like {@link formatHead} */
export function formatLastChunk(trailers: Fields): Buffer {
  if (trailers.length === 0) return LAST_CHUNK
  return Buffer.from(`0\r\n${formatFields(trailers)}\r\n`, 'latin1')
}
