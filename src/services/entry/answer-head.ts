import type { AnswerBody } from '../exchange/exchange-messages.js'

export interface AnswerHead {
  readonly body: AnswerBody
  readonly status: number
  /** Status line and fields, without the empty line. */
  readonly head: Buffer
  /** The method of the request. */
  readonly method: string
  /** The version of the caller: HTTP/1.0 or HTTP/1.1. */
  readonly minor: 0 | 1
  /** Whether the connection ends with the answer. */
  readonly isLast: boolean
}

/** The head of an answer as it goes to a caller in HTTP/1: with the fields of its connection, and the empty line. */
export function formatAnswerHead({ body, status, head, method, minor, isLast }: AnswerHead): Buffer {
  if (body === 'raw') return Buffer.concat([head, Buffer.from('Connection: Upgrade\r\n\r\n')])
  const framing = body === 'chunked' && minor === 1 ? 'Transfer-Encoding: chunked\r\n' : ''
  // a service in HTTP/2 may end its answer with the head, which then names no length
  const length = body === 'none' && method !== 'HEAD' && status !== 204 && status !== 304 ? 'Content-Length: 0\r\n' : ''
  const connection = isLast ? 'Connection: close\r\n' : minor === 0 ? 'Connection: keep-alive\r\n' : ''
  return Buffer.concat([head, Buffer.from(`${framing}${length}${connection}\r\n`)])
}
