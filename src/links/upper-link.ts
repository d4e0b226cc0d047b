import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader
} from 'node:http2'
import { PassThrough, pipeline, type Readable } from 'node:stream'
import type { Pool } from 'undici'
import type { WebSocket } from 'ws'
import { watchFloods } from './flood-guard.js'
import { inTurns } from './in-turns.js'
import { LaneQueue } from './lane-queue.js'
import { LinkRequestError } from './link-request-error.js'
import { type Pinged, Pings } from './pings.js'
import {
  CLOSE,
  LANE_REQUEST_PATH,
  LANE_WAIT_MS,
  MAX_LANES,
  MAX_STREAMS,
  SESSION_WINDOW_BYTES,
  STREAM_WINDOW_BYTES
} from './protocol.js'
import { LinkLostError, SocketStream } from './socket-stream.js'

/** Whose link it is. A client's key is a name of its own, never a node's. */
export type LinkOwner =
  | { readonly kind: 'relay' | 'node'; readonly id: string }
  | { readonly kind: 'client'; readonly id: string; readonly clientId: string }

export interface UpperLinkOptions {
  readonly id: string
  readonly owner: LinkOwner
  readonly socket: WebSocket
  readonly remoteAddress: string
  readonly program: string
  readonly version: number
  readonly connectedAtMs: number
  readonly pingMs: number
  /** Told of each answered ping. */
  readonly onRoundTrip?: (rttMs: number) => void
}

export interface LinkRequest {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Readable | Buffer | undefined
  readonly silenceLimitMs: number
  readonly signal?: AbortSignal | undefined
}

export interface LinkAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** Ends with an error when the link breaks. Destroying it cancels the request. */
  readonly body: Readable
}

/** The policy server's end of a link: the client of HTTP/2, whose connection the other side opened. */
export class UpperLink implements Pinged {
  readonly id: string
  readonly owner: LinkOwner
  readonly remoteAddress: string
  readonly program: string
  readonly version: number
  readonly connectedAtMs: number
  /** Resolves with the reason; never rejects. */
  readonly closed: Promise<string>
  rttMs: number | undefined
  readonly #socket: WebSocket
  readonly #stream: SocketStream
  readonly #session: ClientHttp2Session
  readonly #pings: Pings
  readonly #onRoundTrip: UpperLinkOptions['onRoundTrip']
  /** Made when the first lane is wanted, or comes: most links never have one. */
  #lanes: LaneQueue | undefined
  #pool: Promise<Pool> | undefined
  #streams = 0
  #isClosed = false
  /** Why it is closed; the first one counts. */
  #reason: string | undefined

  constructor(options: UpperLinkOptions) {
    this.id = options.id
    this.owner = options.owner
    this.remoteAddress = options.remoteAddress
    this.program = options.program
    this.version = options.version
    this.connectedAtMs = options.connectedAtMs
    this.#socket = options.socket
    this.#stream = new SocketStream(options.socket)
    this.#session = openSession(this.#stream)
    this.#onRoundTrip = options.onRoundTrip
    const { pingMs: everyMs, socket } = options
    this.#pings = new Pings({ socket, stream: this.#stream, everyMs, asksAlways: false }, this)
    this.#session.on('error', error => {
      this.#reason ??= error.message
    })
    watchFloods(this.#session, this.#socket, reason => this.#break(new LinkLostError(reason)))
    this.#socket.once('close', code => {
      inTurns(() => this.#break(new LinkLostError(`the connection was lost (WebSocket close code ${code})`)))
    })
    this.closed = new Promise(resolve => {
      this.#session.once('close', () => {
        this.#pings.stop()
        this.#isClosed = true
        this.#lanes?.close()
        this.#socket.terminate()
        resolve(this.#reason ?? 'the other side closed it')
      })
    })
  }

  get isOpen(): boolean {
    return (
      this.#socket.readyState === this.#socket.OPEN &&
      !this.#isClosed &&
      !this.#session.closed &&
      !this.#session.destroyed
    )
  }

  /** Requests under way. */
  get streams(): number {
    return this.#streams
  }

  get lanes(): number {
    return this.#lanes?.count ?? 0
  }

  get bytes(): { readonly received: number; readonly sent: number } {
    return {
      received: this.#stream.readBytes + (this.#lanes?.readBytes ?? 0),
      sent: this.#stream.writtenBytes + (this.#lanes?.writtenBytes ?? 0)
    }
  }

  ask(): void {
    if (this.#session.destroyed) return
    this.#session.ping((error, rttMs) => {
      if (error !== null) return
      this.rttMs = rttMs
      this.#onRoundTrip?.(rttMs)
    })
  }

  fellSilent(): void {
    this.#break(new LinkLostError('it gave no sign of life'))
  }

  /** @throws {LinkRequestError}; the signal's reason, once it aborts */
  request(request: LinkRequest): Promise<LinkAnswer> {
    request.signal?.throwIfAborted()
    if (!this.isOpen) throw new LinkRequestError('the link is closed', false)
    if (this.#streams >= MAX_STREAMS) {
      throw new LinkRequestError(`${MAX_STREAMS} requests are under way on its link already`, false)
    }
    const { body } = request
    const hasBody = body !== undefined
    const stream = this.#open(request, !hasBody)
    this.#streams += 1
    stream.once('close', () => {
      this.#streams -= 1
    })
    if (hasBody) sendBody(stream, body)
    return answerOf(stream, request)
  }

  #open({ headers, method, path }: LinkRequest, endStream: boolean): ClientHttp2Stream {
    try {
      return this.#session.request({ ...headers, ':method': method, ':path': path }, { endStream })
    } catch (error) {
      throw new LinkRequestError(error instanceof Error ? error.message : String(error), false)
    }
  }

  /** Connections for bulk: an undici pool whose sockets are lanes. */
  bulk(): Promise<Pool> {
    this.#pool ??= this.#makePool()
    return this.#pool
  }

  /** Takes a lane that the other side opened. */
  addLane(socket: WebSocket): void {
    if (!this.isOpen || !this.#laneQueue().add(new SocketStream(socket))) socket.close(CLOSE.full, 'too many lanes')
  }

  /** Ends it, and what is under way on it. @param code one of {@link CLOSE} */
  close(code: number, reason: string): void {
    this.#socket.close(code, reason)
    this.#break(new LinkLostError(reason))
  }

  #break(error: Error): void {
    this.#reason ??= error.message
    if (!this.#session.destroyed) this.#session.destroy(error)
  }

  async #makePool(): Promise<Pool> {
    const { Pool } = await import('undici')
    return new Pool('http://link', {
      connections: MAX_LANES,
      connect: (_options, callback) => {
        this.#takeLane().then(
          // Called back at once, undici would never send the request.
          lane => setImmediate(() => callback(null, lane as never)),
          (error: unknown) =>
            setImmediate(() => callback(error instanceof Error ? error : new Error(String(error)), null))
        )
      }
    })
  }

  #laneQueue(): LaneQueue {
    if (this.#lanes === undefined) {
      this.#lanes = new LaneQueue(MAX_LANES)
      if (this.#isClosed) this.#lanes.close()
    }
    return this.#lanes
  }

  async #takeLane(): Promise<SocketStream> {
    const waiting = this.#laneQueue().take(LANE_WAIT_MS)
    if (waiting.isReady) return waiting.lane
    this.#askForLane().catch(() => undefined) // no lane comes then, which the wait for it reports to the caller
    return waiting.lane
  }

  async #askForLane(): Promise<void> {
    const { body } = await this.request({
      method: 'POST',
      path: LANE_REQUEST_PATH,
      headers: EMPTY_BODY,
      silenceLimitMs: LANE_WAIT_MS
    })
    body.resume()
  }
}

const EMPTY_BODY = { 'content-length': '0', 'content-type': 'application/octet-stream' }

function openSession(stream: SocketStream): ClientHttp2Session {
  const session = connect('http://link', {
    createConnection: () => stream,
    settings: {
      enablePush: false,
      initialWindowSize: STREAM_WINDOW_BYTES,
      maxConcurrentStreams: 0, // it opens none
      maxHeaderListSize: 16 * 1024
    },
    maxSessionMemory: 16,
    peerMaxConcurrentStreams: MAX_STREAMS
  })
  session.once('connect', () => session.setLocalWindowSize(SESSION_WINDOW_BYTES))
  session.setTimeout(0)
  return session
}

function sendBody(stream: ClientHttp2Stream, body: Readable | Buffer): void {
  if (Buffer.isBuffer(body)) return void stream.end(body)
  pipeline(body, stream, () => undefined) // the answer, or the lack of one, tells
}

/** Resolves when the answer begins. */
function answerOf(stream: ClientHttp2Stream, { signal, silenceLimitMs }: LinkRequest): Promise<LinkAnswer> {
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
      // Iterated itself once it is complete, it would fail on Node 24.20 and newer (nodejs/node issue 65677).
      const body = pipeline(stream, new PassThrough(), () => undefined) // its reader is told
      resolve({ status: headers[':status'] ?? 0, headers, body })
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

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason))
}
