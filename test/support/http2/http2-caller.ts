import { type ClientHttp2Session, type ClientHttp2Stream, connect, type OutgoingHttpHeaders } from 'node:http2'
import type { TestContext } from 'node:test'

/** All that came of the answer to one request in HTTP/2. */
export interface Http2Answer {
  /** Undefined where none came. */
  readonly status: number | undefined
  /** Names and values in turn, without `:status`. */
  readonly fields: readonly string[]
  /** The statuses of answers before the answer. */
  readonly interim: readonly number[]
  readonly text: string
  /** Names and values in turn; undefined: none came. */
  readonly trailers: readonly string[] | undefined
  /** The code with which the stream ended; 0: in order. */
  readonly code: number
  /** Whether the answer ended with its head. */
  readonly isHeadAlone: boolean
}

export interface Http2Request {
  readonly stream: ClientHttp2Stream
  /** Resolves when the stream has ended. Never rejects. */
  readonly answer: Promise<Http2Answer>
  /** The part of the body that came so far. */
  readonly text: () => string
}

/** Opens a connection in HTTP/2 without having asked for it; closed with the test. */
export function callHttp2(t: TestContext, port: number): ClientHttp2Session {
  const session = connect(`http://127.0.0.1:${port}`, { maxSendHeaderBlockLength: 1024 * 1024 })
  session.on('error', () => undefined) // the requests tell
  t.after(() => session.destroy())
  return session
}

/** Begins a request, whose body the test writes. */
export function beginHttp2(session: ClientHttp2Session, headers: OutgoingHttpHeaders, endStream = false): Http2Request {
  const stream = session.request(headers, { endStream })
  let text = ''
  let raw: readonly string[] = []
  let trailers: readonly string[] | undefined
  let isHeadAlone = false
  const interim: number[] = []
  stream.on('headers', ({ ':status': status }) => interim.push(Number(status)))
  stream.on('response', (...[, flags, block]: [unknown, number, (readonly string[])?]) => {
    raw = block ?? []
    isHeadAlone = (flags & 1) !== 0
  })
  stream.on('trailers', (...[, , block]: [unknown, unknown, (readonly string[])?]) => {
    trailers = block
  })
  stream.setEncoding('latin1').on('data', piece => {
    text += String(piece)
  })
  stream.on('error', () => undefined) // its code tells
  const answer = new Promise<Http2Answer>(resolve => {
    stream.once('close', () => {
      const status = raw[0] === ':status' ? Number(raw[1]) : undefined
      resolve({
        status,
        fields: raw.slice(2),
        interim,
        text,
        trailers,
        code: stream.rstCode ?? 0,
        isHeadAlone
      })
    })
  })
  return { stream, answer, text: () => text }
}

/** Asks without a body. */
export function askHttp2(session: ClientHttp2Session, headers: OutgoingHttpHeaders): Promise<Http2Answer> {
  return beginHttp2(session, headers, true).answer
}
