import type { Fields } from '../http1/fields.js'
import { formatHead, statusLine } from '../http1/format.js'
import type { ResponseHead } from '../http1/heads.js'
import { parseTrailers } from '../http1/trailers.js'
import { BadOpeningError } from '../streams/open-line.js'
import type { SentBody } from './service-request.js'

/** The body of an answer: as a request's, or raw bytes both ways behind a 101. */
export type AnswerBody = SentBody | 'raw'

const ANSWER = 0x41
const INTERIM = 0x49
const TRAILERS = 0x54
const BODIES: readonly AnswerBody[] = ['none', 'length', 'chunked', 'raw']
const EMPTY_LINE_BYTES = 2
/** `HTTP/1.1 `, before the status. */
const STATUS_AT = 9

/** A message on the stream of an exchange, in order with the data. */
export type ExchangeMessage =
  | {
      readonly kind: 'answer'
      readonly body: AnswerBody
      readonly status: number
      /** Status line and fields, without the empty line: what belongs to the caller's connection follows. */
      readonly head: Buffer
    }
  /** An answer before the answer, such as 100. @see ResponseHead */
  | { readonly kind: 'interim'; readonly status: number; readonly head: Buffer }
  | { readonly kind: 'trailers'; readonly trailers: Fields }

/** @param head with the fields for the caller: none of one connection alone */
export function formatAnswer(body: AnswerBody, head: ResponseHead): Buffer {
  return Buffer.concat([Buffer.of(ANSWER, BODIES.indexOf(body)), withoutEmptyLine(head)])
}

export function formatInterim(head: ResponseHead): Buffer {
  return Buffer.concat([Buffer.of(INTERIM), withoutEmptyLine(head)])
}

export function formatTrailers(trailers: Fields): Buffer {
  const lines: string[] = []
  for (let at = 0; at + 1 < trailers.length; at += 2) lines.push(`${trailers[at]}: ${trailers[at + 1]}\r\n`)
  return Buffer.concat([Buffer.of(TRAILERS), Buffer.from(`${lines.join('')}\r\n`, 'latin1')])
}

/** @throws {BadOpeningError} @throws {BadMessageError} for trailers that are none */
export function parseExchangeMessage(payload: Buffer): ExchangeMessage {
  if (payload[0] === TRAILERS) {
    return { kind: 'trailers', trailers: parseTrailers(payload.toString('latin1', 1)) }
  }
  if (payload[0] === INTERIM) {
    const head = payload.subarray(1)
    return { kind: 'interim', status: statusIn(head), head }
  }
  const body = BODIES[payload[1] ?? BODIES.length]
  if (payload[0] !== ANSWER || body === undefined) throw new BadOpeningError('an unknown message')
  const head = payload.subarray(2)
  return { kind: 'answer', body, status: statusIn(head), head }
}

function withoutEmptyLine(head: ResponseHead): Buffer {
  const block = formatHead(statusLine(head), head.fields)
  return block.subarray(0, block.length - EMPTY_LINE_BYTES)
}

function statusIn(head: Buffer): number {
  const status = Number(head.toString('latin1', STATUS_AT, STATUS_AT + 3))
  if (Number.isInteger(status) && status >= 100) return status
  throw new BadOpeningError('an answer without a status')
}
