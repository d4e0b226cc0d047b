import { malformed } from './bad-message-error.js'
import { type Fields, isNamed } from './fields.js'
import type { RequestHead, ResponseHead } from './heads.js'

/** Says where a body ends. `length` may be 0. */
export type BodyFraming =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly bytes: number }
  | { readonly kind: 'chunked' }
  | { readonly kind: 'until-close' }

const NONE: BodyFraming = { kind: 'none' }
const CHUNKED: BodyFraming = { kind: 'chunked' }
const UNTIL_CLOSE: BodyFraming = { kind: 'until-close' }

/**
 * Tells where the body of a request ends (RFC 9112, 6.3). Stricter than it must be: a length that is repeated is
 * refused even if it is the same, and so is every transfer coding but one `chunked`.
 * @throws {BadMessageError} `malformed`
 */
export function requestFraming(head: RequestHead): BodyFraming {
  return namedFraming(head) ?? NONE
}

/**
 * Tells where the body of an answer ends (RFC 9112, 6.3). Lengths and codings that contradict each other are refused
 * where there is no body, too.
 * @param method of the request
 * @throws {BadMessageError} `malformed`
 */
export function responseFraming(head: ResponseHead, method: string): BodyFraming {
  const named = namedFraming(head)
  const { status } = head
  if (status < 200 || status === 204 || status === 304 || method === 'HEAD') return NONE
  if (method === 'CONNECT' && status < 300) return NONE
  return named ?? UNTIL_CLOSE
}

/** The framing that the fields name. */
function namedFraming({ fields, minor }: { readonly fields: Fields; readonly minor: 0 | 1 }): BodyFraming | undefined {
  let length: string | undefined
  let coding: string | undefined
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const name = fields[at] ?? ''
    if (isNamed(name, 'content-length')) {
      if (length !== undefined) throw malformed('there is more than one Content-Length')
      length = fields[at + 1] ?? ''
    } else if (isNamed(name, 'transfer-encoding')) {
      if (coding !== undefined) throw malformed('there is more than one Transfer-Encoding')
      coding = fields[at + 1] ?? ''
    }
  }
  if (coding === undefined) return length === undefined ? undefined : { kind: 'length', bytes: readLength(length) }
  if (length !== undefined) throw malformed('there are both Content-Length and Transfer-Encoding')
  if (minor === 0) throw malformed('HTTP/1.0 has no Transfer-Encoding')
  if (!isNamed(coding, 'chunked')) throw malformed('the Transfer-Encoding is not "chunked" alone')
  return CHUNKED
}

function readLength(text: string): number {
  const bytes = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  if (!Number.isSafeInteger(bytes)) throw malformed('the Content-Length is not one whole number below 2^53')
  return bytes
}
