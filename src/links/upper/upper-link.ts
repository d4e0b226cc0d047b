import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2'
import type { Pool } from 'undici'
import { neighbourPieces } from '../../network/sources/piece-budget.js'
import { queueCleanUp } from '../../process/pacing/work-queue.js'
import { atFirstUse } from '../../values/at-first-use.js'
import { asError, errorMessage } from '../../values/failures/system-error.js'
import { Heartbeat, type WatchedConnection } from '../wire/heartbeat.js'
import {
  CLOSE,
  LANE_REQUEST_PATH,
  LANE_WAIT_MS,
  MAX_LANES,
  MAX_STREAMS,
  STREAMS_REQUEST_PATH,
  STREAMS_WAIT_MS
} from '../wire/protocol.js'
import { LinkLostError, type LinkStream, type Transport } from '../wire/transport.js'
import { LanePool } from './lane-pool.js'
import { awaitResponse, type LinkRequest, type LinkResponse, openSession, sendBody } from './link-request.js'
import { LinkRequestError } from './link-request-error.js'
import { StreamLane } from './stream-lane.js'

/** The owner of a link. A client's key is a name of its own, never a node's. */
export type LinkOwner =
  | { readonly kind: 'relay' | 'node'; readonly id: string }
  | { readonly kind: 'client'; readonly id: string; readonly clientId: string }

export interface UpperLinkOptions {
  readonly id: string
  readonly owner: LinkOwner
  readonly transport: Transport
  readonly remoteAddress: string
  readonly program: string
  readonly version: number
  readonly hasServices: boolean
  readonly connectedAtMs: number
  readonly pingMs: number
  /** Called for each answered ping. */
  readonly onRoundTrip?: (rttMs: number) => void
}

/** The policy server's end of a link: the client of HTTP/2, whose connection the other side opened. */
export class UpperLink implements WatchedConnection {
  readonly id: string
  readonly owner: LinkOwner
  readonly remoteAddress: string
  readonly program: string
  readonly version: number
  /** Whether the other side says that there may be services behind it. */
  readonly hasServices: boolean
  readonly connectedAtMs: number
  /** Resolves with the reason; never rejects. */
  readonly closed: Promise<string>
  rttMs: number | undefined
  readonly #transport: Transport
  readonly #stream: LinkStream
  readonly #session: ClientHttp2Session
  readonly #pieces = neighbourPieces()
  readonly #heartbeat: Heartbeat
  readonly #onRoundTrip: UpperLinkOptions['onRoundTrip']
  /** Made when the first lane is wanted, or comes: most links never have one. */
  #lanes: LanePool | undefined
  readonly #pool = atFirstUse(() => this.#makePool())
  readonly #pingMs: number
  #streamLane: StreamLane | undefined
  #streams = 0
  #isUsed = false
  #isClosed = false
  /** Why it is closed; the first one counts. */
  #reason: string | undefined

  constructor(options: UpperLinkOptions) {
    this.id = options.id
    this.owner = options.owner
    this.remoteAddress = options.remoteAddress
    this.program = options.program
    this.version = options.version
    this.hasServices = options.hasServices
    this.connectedAtMs = options.connectedAtMs
    this.#transport = options.transport
    this.#stream = options.transport.stream({
      framesOf: 'client',
      pieces: this.#pieces,
      onFlood: reason => this.#break(new LinkLostError(reason))
    })
    this.#session = openSession(this.#stream)
    this.#onRoundTrip = options.onRoundTrip
    const { pingMs: everyMs, transport } = options
    this.#pingMs = everyMs
    this.#heartbeat = new Heartbeat({ transport, stream: this.#stream, everyMs, asksAlways: false }, this)
    this.#session.on('error', error => {
      this.#reason ??= error.message
    })
    transport.onClose(({ reason }) => queueCleanUp(() => this.#break(new LinkLostError(reason))))
    this.closed = new Promise(resolve => {
      this.#session.once('close', () => {
        this.#heartbeat.stop()
        this.#isClosed = true
        this.#lanes?.close()
        this.#streamLane?.close()
        transport.end()
        resolve(this.#reason ?? 'the other side closed it')
      })
    })
  }

  get isOpen(): boolean {
    return this.#transport.isOpen && !this.#isClosed && !this.#session.closed && !this.#session.destroyed
  }

  /** Requests under way. */
  get streams(): number {
    return this.#streams
  }

  get lanes(): number {
    return (this.#lanes?.count ?? 0) + (this.#streamLane?.isTaken === true ? 1 : 0)
  }

  get bytes(): { readonly received: number; readonly sent: number } {
    const ofStreams = this.#streamLane?.bytes
    return {
      received: this.#stream.readBytes + (this.#lanes?.readBytes ?? 0) + (ofStreams?.received ?? 0),
      sent: this.#stream.writtenBytes + (this.#lanes?.writtenBytes ?? 0) + (ofStreams?.sent ?? 0)
    }
  }

  /**
   * Asks for a sign of life, by HTTP/2 once that is in use: a side that is stuck in it is noticed. Until then it
   * takes 2 KB less for each link.
   */
  ask(): void {
    if (this.#session.destroyed) return
    const answered = (rttMs: number) => {
      this.rttMs = rttMs
      this.#onRoundTrip?.(rttMs)
    }
    if (this.#isUsed) {
      this.#session.ping((error, rttMs) => {
        if (error === null) answered(rttMs)
      })
      return
    }
    const askedAt = performance.now()
    this.#transport.ping(() => answered(performance.now() - askedAt))
  }

  fellSilent(): void {
    this.#break(new LinkLostError('it gave no sign of life'))
  }

  /** @throws {LinkRequestError}; the signal's reason, once it aborts */
  request(request: LinkRequest): Promise<LinkResponse> {
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
      this.#stream.idle.requestEnded()
    })
    if (hasBody) sendBody(stream, body)
    return awaitResponse(stream, request)
  }

  #open({ headers, method, path }: LinkRequest, endStream: boolean): ClientHttp2Stream {
    this.#isUsed = true
    this.#stream.idle.requestBegun()
    try {
      return this.#session.request({ ...headers, ':method': method, ':path': path }, { endStream })
    } catch (error) {
      this.#stream.idle.requestEnded()
      throw new LinkRequestError(errorMessage(error), false)
    }
  }

  /** Connections for bulk: an undici pool whose sockets are lanes. */
  bulk(): Promise<Pool> {
    return this.#pool.get()
  }

  /** The lane on which both sides open streams. */
  get streamLane(): StreamLane {
    if (this.#streamLane === undefined) {
      const { owner } = this
      const name = owner.kind === 'client' ? `client ${owner.id}/${owner.clientId}` : owner.id
      this.#streamLane = new StreamLane({
        name: `the link of ${name}`,
        pieces: this.#pieces,
        pingMs: this.#pingMs,
        ask: () => this.#askForLane(STREAMS_REQUEST_PATH, STREAMS_WAIT_MS)
      })
      if (this.#isClosed) this.#streamLane.close()
    }
    return this.#streamLane
  }

  /** Takes a lane that the other side opened. */
  addLane(transport: Transport): void {
    if (!this.isOpen || !this.#lanePool().add(transport.stream({ isBulk: true, pieces: this.#pieces })))
      transport.close(CLOSE.full, 'too many lanes')
  }

  /** Ends it, and what is under way on it. @param code one of {@link CLOSE} */
  close(code: number, reason: string): void {
    this.#transport.close(code, reason)
    this.#break(new LinkLostError(reason))
  }

  #break(error: Error): void {
    this.#reason ??= error.message
    if (!this.#session.destroyed) this.#session.destroy(error)
  }

  async #makePool(): Promise<Pool> {
    const { Pool } = await import('./lane-http-pool.js')
    return new Pool('http://link', {
      connections: MAX_LANES,
      connect: (_options, callback) => {
        this.#takeLane().then(
          // Called back at once, undici would never send the request.
          lane => setImmediate(() => callback(null, lane as never)),
          (error: unknown) => setImmediate(() => callback(asError(error), null))
        )
      }
    })
  }

  #lanePool(): LanePool {
    if (this.#lanes === undefined) {
      this.#lanes = new LanePool(MAX_LANES)
      if (this.#isClosed) this.#lanes.close()
    }
    return this.#lanes
  }

  async #takeLane(): Promise<LinkStream> {
    const waiting = this.#lanePool().take(LANE_WAIT_MS)
    if (waiting.isReady) return waiting.lane
    this.#askForLane(LANE_REQUEST_PATH, LANE_WAIT_MS).catch(() => undefined) // no lane comes then, which the wait for it reports to the caller
    return waiting.lane
  }

  /** @throws {LinkRequestError} when the other side opens none */
  async #askForLane(path: string, silenceLimitMs: number): Promise<void> {
    const { status, body } = await this.request({ method: 'POST', path, headers: EMPTY_BODY, silenceLimitMs })
    body.resume()
    if (status >= 400) throw new LinkRequestError(`the other side answers ${status} for ${path}`, false)
  }
}

const EMPTY_BODY = { 'content-length': '0', 'content-type': 'application/octet-stream' }
