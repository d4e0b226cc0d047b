import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader
} from 'node:http2'
import { PassThrough, pipeline, type Readable } from 'node:stream'
import { asError } from '../../values/failures/system-error.js'
import { MAX_STREAMS, SESSION_WINDOW_BYTES, STREAM_WINDOW_BYTES } from '../wire/protocol.js'
import { LinkLostError, type LinkStream } from '../wire/transport.js'
import { LinkRequestError } from './link-request-error.js'

const [MAJOR = 0] = process.versions.node.split('.').map(Number)

export interface LinkRequest {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Readable | Buffer | undefined
  readonly silenceLimitMs: number
  readonly signal?: AbortSignal | undefined
}

export interface LinkResponse {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** Ends with an error when the link breaks. Destroying it cancels the request. */
  readonly body: Readable
}

/** The client of HTTP/2 over a connection that the other side opened. */
export function openSession(stream: LinkStream): ClientHttp2Session {
  const session = connect('http://link', {
    createConnection: () => stream,
    settings: {
      enablePush: false,
      headerTableSize: 0, // here and below: a link's few headers are not worth tables, of which there would be thousands
      initialWindowSize: STREAM_WINDOW_BYTES,
      maxConcurrentStreams: 0, // it opens none
      maxHeaderListSize: 16 * 1024
    },
    maxDeflateDynamicTableSize: 0,
    maxSessionMemory: 16,
    peerMaxConcurrentStreams: MAX_STREAMS
  })
  session.once('connect', () => {
    if (!session.destroyed) session.setLocalWindowSize(SESSION_WINDOW_BYTES) // it may be closed in the turn in which it opens
  })
  session.setTimeout(0)
  return session
}

export function sendBody(stream: ClientHttp2Stream, body: Readable | Buffer): void {
  if (Buffer.isBuffer(body)) return void stream.end(body)
  pipeline(body, stream, () => undefined) // the answer, or the lack of one, tells
}

/**
 * A stream that is complete before anyone reads it fails when it is iterated on Node 24.20 and newer (nodejs/node issue
 * 65677). A pipe in between does not; it costs time and garbage in runs of thousands, so elsewhere there is none.
 */
function readable(stream: ClientHttp2Stream): Readable {
  return MAJOR < 24 ? stream : pipeline(stream, new PassThrough(), () => undefined) // its reader is told
}

/**
 * Resolves when the answer begins.
 * @throws {LinkRequestError} when none came; the signal's reason, once it aborts
 */
export function awaitResponse(
  stream: ClientHttp2Stream,
  { signal, silenceLimitMs }: LinkRequest
): Promise<LinkResponse> {
  return new Promise((resolve, reject) => {
    let begun = false
    const onAbort = () => stream.destroy(asError(signal?.reason))
    signal?.addEventListener('abort', onAbort, { once: true })
    if (silenceLimitMs > 0) {
      stream.setTimeout(silenceLimitMs, () => stream.destroy(new Error('it was silent for too long')))
    }
    stream.once('response', (headers: IncomingHttpHeaders & IncomingHttpStatusHeader) => {
      begun = true
      // Node ends the body of a stream that the other side cancels as if it were whole.
      stream.prependOnceListener('end', () => {
        if (stream.rstCode !== constants.NGHTTP2_NO_ERROR) stream.destroy(new LinkLostError('the answer broke off'))
      })
      resolve({ status: headers[':status'] ?? 0, headers, body: readable(stream) })
    })
    let failure: Error | undefined
    stream.on('error', error => {
      failure = error
    })
    stream.once('close', () => {
      signal?.removeEventListener('abort', onAbort)
      if (begun) return
      if (signal?.aborted === true) return reject(signal.reason)
      const isRefused = stream.rstCode === constants.NGHTTP2_REFUSED_STREAM
      const why = failure?.message ?? `the link ended it (HTTP/2 error ${stream.rstCode ?? 'none'})`
      reject(new LinkRequestError(why, !isRefused && stream.id !== undefined))
    })
  })
}
