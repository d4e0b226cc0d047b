import type { OutgoingHttpHeaders } from 'node:http2'
import { BadMessageError, malformed } from '../http1/bad-message-error.js'
import { describeCharacter, endOfToken, isFieldCharacter } from '../http1/characters.js'
import { type Fields, MAX_HEADER_FIELDS } from '../http1/fields.js'
import { MAX_HEAD_BYTES } from '../http1/head-reader.js'

/** The header block of a message in HTTP/2 (RFC 9113, 8.3). */
export interface HeaderBlock {
  /** Values by names, such as `:path`; each is there once. */
  readonly pseudo: ReadonlyMap<string, string>
  readonly fields: Fields
}

/** The bytes around a field in HTTP/1: `: ` and the end of the line. */
const BYTES_AROUND_FIELD = 4

/**
 * Reads a header block or trailers. The pieces of a cookie are put together again (RFC 9113, 8.2.3).
 * @param raw name, value, name, value…, as Node gives them: one character a byte
 * @throws {BadMessageError} `malformed`, or `too-large` beyond the bounds of a head in HTTP/1
 */
export function readHeaderBlock(raw: readonly string[]): HeaderBlock {
  const pseudo = new Map<string, string>()
  const fields: string[] = []
  let cookieAt: number | undefined
  let bytes = 0
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at] ?? ''
    const value = raw[at + 1] ?? ''
    bytes += name.length + value.length + BYTES_AROUND_FIELD
    if (name.startsWith(':')) {
      if (pseudo.has(name)) throw malformed(`${name} is there more than once`)
      pseudo.set(name, value)
      continue
    }
    checkField(name, value)
    if (name === 'cookie' && cookieAt !== undefined) fields[cookieAt] += `; ${value}`
    else {
      if (name === 'cookie') cookieAt = fields.length + 1
      fields.push(name, withoutBlanks(value))
    }
  }
  if (bytes > MAX_HEAD_BYTES) throw new BadMessageError('too-large', `the header is over ${MAX_HEAD_BYTES} bytes`)
  if (fields.length > 2 * MAX_HEADER_FIELDS) {
    const message = `there are ${fields.length / 2} header fields, more than ${MAX_HEADER_FIELDS}`
    throw new BadMessageError('too-large', message)
  }
  return { pseudo, fields }
}

function withoutBlanks(value: string): string {
  return value.replace(/^[ \t]+|[ \t]+$/g, '')
}

function checkField(name: string, value: string): void {
  const end = endOfToken(name, 0)
  if (end === 0 || end < name.length) {
    throw malformed(`a header field has ${describeCharacter(name.charCodeAt(end))} in its name`)
  }
  for (let at = 0; at < value.length; at += 1) {
    const code = value.charCodeAt(at)
    if (isFieldCharacter(code)) continue
    throw malformed(`the header ${name.slice(0, 64)} has ${describeCharacter(code)} in its value`)
  }
}

/** Names that Node's HTTP/2 throws at when they come more than once: their values are joined (RFC 9110, 5.3). */
const SENT_ONCE = new Set(
  [
    'access-control-allow-credentials access-control-max-age access-control-request-method age authorization',
    'content-encoding content-language content-length content-location content-md5 content-range content-type date dnt',
    'etag expires from host if-match if-modified-since if-none-match if-range if-unmodified-since last-modified',
    'location max-forwards proxy-authorization range referer retry-after tk upgrade-insecure-requests user-agent',
    'x-content-type-options'
  ].flatMap(names => names.split(' '))
)

/** Fields as Node's HTTP/2 takes them. @param fields without those of one connection, at which Node throws */
export function toHttp2Headers(fields: Fields): OutgoingHttpHeaders {
  const headers: Record<string, string | string[]> = Object.create(null)
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const name = (fields[at] ?? '').toLowerCase()
    const value = fields[at + 1] ?? ''
    const before = headers[name]
    if (before === undefined) headers[name] = value
    else if (typeof before !== 'string') before.push(value)
    else headers[name] = SENT_ONCE.has(name) ? `${before}, ${value}` : [before, value]
  }
  return headers
}
