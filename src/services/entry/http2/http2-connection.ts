import { constants, performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import { sourceOf } from '../../../network/sources/source-address.js'
import { BadMessageError } from '../../http1/bad-message-error.js'
import { NO_FIELDS } from '../../http1/fields.js'
import type { CallerSlot, CallerSlots } from '../caller-slots.js'
import { type CallerOrigin, requestForService } from '../request-for-service.js'
import { cameRequest, isServiceRefusal, type ServiceEntry } from '../service-entry.js'
import { RIGHT_LOST, type ServiceRefusal } from '../service-refusal.js'
import { FrameAllowance, UNITS_OF } from './frame-allowance.js'
import { Http2Caller } from './http2-caller.js'
import { readRequestBlock } from './request-block.js'

/** Requests at once on one connection. */
export const MAX_STREAMS_OF_CONNECTION = 100
/** The bytes of a header block with 32 for each field (RFC 9113, 6.5.2): a head that is over its bound can be read and refused. */
const MAX_HEADER_LIST_BYTES = 128 * 1024
/** Fields that are read; a cookie comes in many pieces. More than the bound for the fields of a request. */
const MAX_HEADER_PAIRS = 1_000
/** The head of an answer from a service may have 64 KiB. */
const MAX_SENT_HEADER_BYTES = 256 * 1024
/** The bytes of a request's body that wait here where its service does not take them: as many as those of a stream over a link. */
const STREAM_WINDOW_BYTES = 256 * 1024
/** The bytes of all request bodies of a connection that may be on their way. They count when they come, not when they are passed on. */
const CONNECTION_WINDOW_BYTES = 4 * 1024 * 1024
/** The memory of a connection, above which Node refuses further requests: answers that wait for their reader count. */
const MAX_SESSION_MIB = 64
/** The time for which a connection that was told to go may stay. */
const GOAWAY_LIMIT_MS = 1_000

const OPTIONS = {
  maxHeaderListPairs: MAX_HEADER_PAIRS,
  maxSendHeaderBlockLength: MAX_SENT_HEADER_BYTES,
  maxSessionMemory: MAX_SESSION_MIB,
  settings: {
    maxConcurrentStreams: MAX_STREAMS_OF_CONNECTION,
    maxHeaderListSize: MAX_HEADER_LIST_BYTES,
    initialWindowSize: STREAM_WINDOW_BYTES,
    enablePush: false
  }
}

const NO_CONNECT = { status: 501, message: 'CONNECT is not passed on to services' }
const NO_TRACE = { status: 501, message: 'TRACE is not passed on to services' }
const TOO_MANY = {
  status: 503,
  message: 'too many requests in HTTP/2 are under way at this relay; try again later',
  fields: ['retry-after', '5']
}

/** The parts of a listener, and the time limits of its connections. */
export interface Http2ConnectionOptions {
  readonly socket: Socket
  readonly entry: ServiceEntry
  readonly origin: CallerOrigin
  /** For the first request from the connection on. */
  readonly headMs: number
  /** Between two requests. */
  readonly idleMs: number
  /** The requests of all connections, shared among their sources. */
  readonly streams: CallerSlots
  /** Told of each change between waiting for a request and being used. */
  readonly onUse: (isUsed: boolean) => void
  /** Told that the connection was closed for too many frames that bring nothing on. */
  readonly onFlood: () => void
}

/** One connection of a caller in HTTP/2: many requests at once (RFC 9113). */
export class Http2Connection {
  readonly #session: ServerHttp2Session
  readonly #remoteAddress: string
  readonly #allowance = new FrameAllowance()
  #open = 0
  #timer: NodeJS.Timeout | undefined

  constructor(private readonly options: Http2ConnectionOptions) {
    const { socket, headMs } = options
    this.#remoteAddress = (socket.remoteAddress ?? '').replace(/^::ffff:/, '')
    socket.on('error', () => undefined) // `close` follows
    socket.on('end', () => socket.destroy()) // plain sockets may be half open here; a caller that waits for answers keeps its side
    const session = performServerHandshake(socket, OPTIONS)
    this.#session = session
    session.setLocalWindowSize(CONNECTION_WINDOW_BYTES)
    session.on('error', () => undefined) // `close` follows
    session.on('stream', (stream, _headers, flags: number, ...[raw]: unknown[]) => {
      this.#take(stream, (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0, Array.isArray(raw) ? raw.map(String) : [])
    })
    session.on('ping', () => this.#spend(UNITS_OF.control))
    session.on('remoteSettings', () => this.#spend(UNITS_OF.control))
    session.once('close', () => {
      clearTimeout(this.#timer)
      socket.destroy()
    })
    this.#limit(headMs)
  }

  #take(stream: ServerHttp2Stream, isWhole: boolean, raw: readonly string[]): void {
    if (stream.closed || stream.destroyed) {
      stream.on('error', () => undefined)
      this.#spend(UNITS_OF.reset)
      return
    }
    const slot: CallerSlot = { source: sourceOf(this.#remoteAddress), close: () => caller.exchange.revoke(TOO_MANY) }
    const caller = new Http2Caller({
      stream,
      entry: this.options.entry,
      isWhole,
      onProgress: () => this.#allowance.giveBack(1),
      onClosed: isReset => {
        this.options.streams.leave(slot)
        this.#left(isReset)
      }
    })
    this.#entered()
    if (this.options.streams.enter(slot)) {
      this.options.streams.use(slot, true)
      this.#begin(caller, raw, isWhole)
    } else caller.exchange.refuse(TOO_MANY)
  }

  #begin(caller: Http2Caller, raw: readonly string[], isWhole: boolean): void {
    try {
      const refusal = this.#pass(caller, raw, isWhole)
      if (refusal !== undefined) caller.exchange.refuse(refusal)
    } catch (error) {
      if (!(error instanceof BadMessageError)) throw error
      caller.refuseMessage(error)
    }
  }

  /** @returns why the request was not passed on @throws {BadMessageError} */
  #pass(caller: Http2Caller, raw: readonly string[], isWhole: boolean): ServiceRefusal | undefined {
    const { entry, origin, socket } = this.options
    const { exchange } = caller
    const block = readRequestBlock(raw, isWhole)
    if (block === 'CONNECT') return NO_CONNECT
    const { head, framing, target, host } = block
    if (head.method === 'TRACE') return NO_TRACE
    const request = { head, target, host, socket, remoteAddress: this.#remoteAddress }
    exchange.asked(cameRequest(request))
    const destination = entry.admit(request)
    if (isServiceRefusal(destination)) return destination
    if (isWhole) exchange.bodyEnded(NO_FIELDS)
    caller.unwatch = destination.watchRight?.(() => exchange.revoke(RIGHT_LOST))
    exchange.start(requestForService(request, destination, framing, origin))
    return undefined
  }

  #entered(): void {
    this.#open += 1
    if (this.#open > 1) return
    this.#limit(0)
    this.options.onUse(true)
  }

  #left(isReset: boolean): void {
    this.#open -= 1
    if (isReset) this.#spend(UNITS_OF.reset)
    else this.#allowance.giveBack(UNITS_OF.reset)
    if (this.#open > 0 || this.#session.destroyed) return
    this.#limit(this.options.idleMs)
    this.options.onUse(false)
  }

  #spend(units: number): void {
    if (this.#session.destroyed || this.#allowance.spend(units)) return
    this.#session.destroy(new Error('too many frames that bring nothing on'), constants.NGHTTP2_ENHANCE_YOUR_CALM)
    this.#limit(GOAWAY_LIMIT_MS)
    this.options.onFlood()
  }

  #limit(ms: number): void {
    clearTimeout(this.#timer)
    this.#timer = ms === 0 ? undefined : setTimeout(() => this.#goAway(), ms).unref()
  }

  /** Tells the caller that no more is taken on this connection, and ends it. */
  #goAway(): void {
    if (this.#session.closed) return void this.options.socket.destroy()
    this.#session.close()
    this.#limit(GOAWAY_LIMIT_MS)
  }
}
