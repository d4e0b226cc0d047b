import { createServer as createHttpServer, type RequestListener, type Server } from 'node:http'
import {
  createServer as createHttp2Server,
  type Http2Server,
  type Http2Session,
  type ServerHttp2Session,
  type ServerHttp2Stream
} from 'node:http2'
import { MAX_HEADERS_OFF } from '../../network/max-headers.js'
import { neighbourPieces, type PieceBudget } from '../../network/sources/piece-budget.js'
import { commonVersion, describeMismatch, LINK_VERSIONS, type VersionRange } from '../../values/protocol-version.js'
import { StreamConnection, type TakeStream } from '../streams/stream-connection.js'
import {
  answerChallenge,
  ChallengeError,
  type ConnectionPurpose,
  type Credentials,
  formatNoVersion,
  parseChallenge,
  parseWelcome,
  type Welcome
} from '../wire/challenge.js'
import { Heartbeat } from '../wire/heartbeat.js'
import { LinkEnding } from '../wire/link-ending.js'
import {
  HANDSHAKE_LIMIT_MS,
  LANE_REQUEST_PATH,
  MAX_STREAMS,
  SESSION_WINDOW_BYTES,
  STREAM_WINDOW_BYTES,
  STREAMS_REQUEST_PATH
} from '../wire/protocol.js'
import { checkUpper } from '../wire/seen-upper.js'
import { LinkLostError, type Transport } from '../wire/transport.js'
import { countBodyPieces } from './count-body-pieces.js'
import { boundRequestsOfLane } from './lane-requests.js'
import { LowerLanes } from './lower-lanes.js'
import type { OpenedTransport } from './upper.js'

export interface HandshakeOptions {
  readonly credentials: Credentials
  readonly program: string
  readonly versions?: VersionRange | undefined
  /** Whether the link says that there may be services behind it. */
  readonly hasServices?: boolean | undefined
}

/** The lower side of the handshake. `take` is called in the turn of the welcome, so that it misses nothing. */
export async function performHandshake<T>(
  { transport, seen }: OpenedTransport,
  options: HandshakeOptions,
  what: { readonly purpose: ConnectionPurpose; readonly link?: string },
  take: (welcome: Welcome) => T
): Promise<T> {
  const versions = options.versions ?? LINK_VERSIONS
  const challenge = await transport.receive(HANDSHAKE_LIMIT_MS, parseChallenge)
  const version = commonVersion(versions, challenge.versions)
  if (version === undefined) {
    await new Promise<void>(resolve => transport.send(formatNoVersion(versions), resolve))
    throw new ChallengeError(describeMismatch(challenge.relay, challenge.versions, versions))
  }
  checkUpper(challenge, seen)
  const { credentials, program, hasServices } = options
  const services = what.purpose === 'link' && hasServices === true ? { services: true } : {}
  const members = { version, program, ...what, ...services }
  transport.send(JSON.stringify(answerChallenge(challenge, credentials, seen, members)))
  return transport.receive(HANDSHAKE_LIMIT_MS, text => take(parseWelcome(text, challenge.relay)))
}

export interface LowerLinkOptions {
  /** Serves what comes over links, HTTP/2 and HTTP/1.1 alike. */
  readonly routing: RequestListener
  /** Opens one more lane of the link that asked. */
  readonly openLane: (linkId: string, purpose: 'lane' | 'streams') => Promise<void>
  /** Takes streams that the upper side opens; where it is undefined, there are none. */
  readonly takeStream?: TakeStream | undefined
  /** The budget of the upper side, whatever connection it uses. @default that of a neighbour */
  readonly pieces?: PieceBudget
}

/** Serves the requests of the upper side: over links by HTTP/2, over lanes by HTTP/1.1, into the same routes. */
export class LowerLink {
  readonly #http2: Http2Server
  readonly #http1: Server
  readonly #links = new WeakMap<Http2Session, string>()
  /** Connections that are links or lanes: whoever asks over them is the upper side. */
  readonly #trusted = new WeakSet<object>()
  readonly #lanes: LowerLanes
  readonly #takeStream: TakeStream | undefined
  readonly #pieces: PieceBudget
  readonly #streams = new Set<StreamConnection>()
  #activeRequests = 0

  constructor({ routing: route, openLane, takeStream, pieces = neighbourPieces() }: LowerLinkOptions) {
    this.#lanes = new LowerLanes({ openLane })
    this.#takeStream = takeStream
    this.#pieces = pieces
    const routing: RequestListener = (request, response) => {
      this.#activeRequests += 1
      response.once('close', () => {
        this.#activeRequests -= 1
      })
      route(request, response)
    }
    const takeOfLane = boundRequestsOfLane((request, response) => {
      countBodyPieces(request, pieces)
      routing(request, response)
    })
    // What Node would answer by itself goes the same way.
    this.#http1 = createHttpServer({ requestTimeout: 0, keepAliveTimeout: 0, requireHostHeader: false }, takeOfLane)
    this.#http1.on('checkExpectation', takeOfLane)
    this.#http1.maxHeadersCount = MAX_HEADERS_OFF
    this.#http2 = createHttp2Server(
      {
        settings: {
          enablePush: false,
          headerTableSize: 0,
          initialWindowSize: STREAM_WINDOW_BYTES,
          maxConcurrentStreams: MAX_STREAMS,
          maxHeaderListSize: 32 * 1024
        },
        maxDeflateDynamicTableSize: 0,
        maxSessionMemory: 16
      },
      (request, response) => {
        const linkId = request.stream.session === undefined ? undefined : this.#links.get(request.stream.session)
        tellBrokenAnswers(response.stream)
        const purpose = this.#purposeOf(request.url)
        if (purpose === undefined) return void routing(request as never, response as never)
        request.resume()
        this.#lanes.open(linkId ?? '', purpose).then(
          () => answerAlone(response.stream, 204),
          () => answerAlone(response.stream, 503)
        )
      }
    )
    this.#http2.on('sessionError', () => undefined) // the link's end tells
  }

  /** The lane that a request of the link's own asks for. */
  #purposeOf(path: string): 'lane' | 'streams' | undefined {
    if (path === LANE_REQUEST_PATH) return 'lane'
    return path === STREAMS_REQUEST_PATH && this.#takeStream !== undefined ? 'streams' : undefined
  }

  get activeRequests(): number {
    return this.#activeRequests + this.activeStreams
  }

  /** Streams that have not ended. */
  get activeStreams(): number {
    let streams = 0
    for (const { count } of this.#streams) streams += count
    return streams
  }

  /** Whether a request came over one of these. @param request Node's, of HTTP/1.1 or HTTP/2 */
  isFromAbove(request: { readonly socket?: unknown; readonly stream?: { readonly session?: unknown } }): boolean {
    const session = request.stream?.session
    if (typeof session === 'object' && session !== null) return this.#trusted.has(session)
    return typeof request.socket === 'object' && request.socket !== null && this.#trusted.has(request.socket)
  }

  /** Serves a link until it ends. @returns when it has, with the reason; never rejects */
  serveLink(transport: Transport, welcome: Welcome): Promise<string> {
    let onFlood: (reason: string) => void = () => transport.terminate()
    const stream = transport.stream({
      framesOf: 'server',
      pieces: this.#pieces,
      onFlood: reason => onFlood(reason)
    })
    const ending = new LinkEnding(transport)
    return new Promise(resolve => {
      this.#http2.once('session', (session: ServerHttp2Session) => {
        this.#links.set(session, welcome.link)
        this.#lanes.linkBegan(welcome.link)
        this.#trusted.add(session)
        session.setLocalWindowSize(SESSION_WINDOW_BYTES)
        session.setTimeout(0)
        const breakOff = (reason: string) => {
          ending.note(reason)
          session.destroy(new LinkLostError(reason))
        }
        onFlood = breakOff
        session.on('stream', request => request.once('close', () => stream.idle.requestEnded()))
        const heartbeat = new Heartbeat(
          { transport, stream, everyMs: welcome.pingMs, asksAlways: true },
          { ask: () => transport.ping(), fellSilent: () => breakOff('the other side gave no sign of life') }
        )
        session.once('close', () => {
          heartbeat.stop()
          this.#lanes.linkEnded(welcome.link)
        })
        resolve(ending.of(session))
      })
      this.#http2.emit('connection', stream)
    })
  }

  /** Serves the lane of a link that carries streams, until one of them ends. */
  serveStreams(transport: Transport, { link: linkId, pingMs }: Pick<Welcome, 'link' | 'pingMs'>): void {
    const lane = transport.stream({ isBulk: true, pieces: this.#pieces })
    const connection = new StreamConnection(lane, {
      side: 'lower',
      pingMs,
      take: this.#takeStream,
      name: 'the link to the relay above'
    })
    this.#lanes.add(lane, linkId)
    this.#streams.add(connection)
    void connection.closed.then(() => this.#streams.delete(connection))
  }

  /** Serves a lane of a link, until one of them ends. */
  serveLane(transport: Transport, linkId: string): void {
    const stream = transport.stream({ isBulk: true, pieces: this.#pieces })
    this.#trusted.add(stream)
    stream.on('error', () => undefined)
    this.#lanes.add(stream, linkId)
    if (stream.destroyed) return
    this.#http1.emit('connection', stream)
  }

  close(): void {
    this.#http1.closeAllConnections()
  }
}

/** Answers the link's own request, which no route sees. */
function answerAlone(stream: ServerHttp2Stream, status: number): void {
  if (!stream.destroyed && !stream.closed) stream.respond({ ':status': status }, { endStream: true })
}

/**
 * Node tells the other side that a stream which is destroyed without an error, as Fastify does with an answer that it
 * cannot bring to its end, ended well: what was sent so far would pass for the whole.
 */
function tellBrokenAnswers(stream: ServerHttp2Stream): void {
  const destroy = stream.destroy.bind(stream)
  stream.destroy = error =>
    destroy(error ?? (stream.writableEnded ? undefined : new LinkLostError('the answer broke off')))
}
