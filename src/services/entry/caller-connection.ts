import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { countStreamed } from '../../process/pacing/buffer-collection.js'
import type { AnswerBody } from '../exchange/exchange-messages.js'
import { SocketWriter } from '../exchange/socket-writer.js'
import { BadMessageError } from '../http1/bad-message-error.js'
import type { BodySink } from '../http1/chunked-reader.js'
import type { Fields } from '../http1/fields.js'
import { formatChunk, formatLastChunk } from '../http1/format.js'
import { requestFraming } from '../http1/framing.js'
import { HeadReader } from '../http1/head-reader.js'
import { isPersistent, type RequestHead } from '../http1/heads.js'
import { MessageBodyReader } from '../http1/message-body-reader.js'
import { parseRequestHead } from '../http1/parse-heads.js'
import { readDestination } from '../http1/request-target.js'
import { formatAnswerHead } from './answer-head.js'
import { CallerExchange } from './caller-exchange.js'
import { END_LIMITS, type EndLimits, endWithin, limitUnread } from './end-limits.js'
import type { ExchangeCaller } from './exchange-caller.js'
import { formatRefusal } from './refusals.js'
import { type CallerOrigin, requestForService } from './request-for-service.js'
import { cameRequest, isServiceRefusal, type ServiceEntry } from './service-entry.js'
import { RIGHT_LOST, type ServiceRefusal } from './service-refusal.js'

export interface CallerLimits {
  /** For the first head from the connection on, and for each from its first byte. */
  readonly headMs: number
  /** Between two requests. */
  readonly idleMs: number
  /** The end of an answer. @default {@link END_LIMITS} */
  readonly end?: EndLimits
}

/** Methods that would make the relay another kind of proxy, or show what proxies added. */
const NOT_SERVED = new Set(['CONNECT', 'TRACE'])
const NOTHING = Buffer.alloc(0)
const CONTINUE = Buffer.from('HTTP/1.1 100 Continue\r\n\r\n')
/** So much of a body that nobody wants is read, so that the caller comes to see the answer. */
const MAX_DROPPED_BYTES = 64 * 1024 * 1024

/** One connection of a caller: HTTP/1.1, one request after another. */
export class CallerConnection implements BodySink, ExchangeCaller {
  readonly #heads = new HeadReader('request')
  #exchange: CallerExchange | undefined
  #body: MessageBodyReader | undefined
  #head: RequestHead | undefined
  /** The bytes behind a request whose answer is not complete. */
  #behind: Buffer = NOTHING
  #isKept = true
  #isChunked = false
  #isLast = false
  #isClosing = false
  /** The answer is complete, but not handed over: the caller reads slowly. */
  #isDraining = false
  readonly #writer: SocketWriter
  #dropped = 0
  #timer: NodeJS.Timeout | undefined
  #unwatch: (() => void) | undefined

  constructor(
    private readonly socket: Socket,
    private readonly entry: ServiceEntry,
    private readonly origin: CallerOrigin,
    private readonly limits: CallerLimits,
    /** Told of each change between waiting for a request and being used. */
    private readonly onUse: (isUsed: boolean) => void
  ) {
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    this.#writer = new SocketWriter(socket, () => this.#drained())
    socket.on('end', () => this.#ended())
    socket.on('timeout', () => socket.destroy())
    socket.on('error', () => undefined) // `close` follows
    socket.once('close', () => {
      clearTimeout(this.#timer)
      this.#unwatch?.()
      this.#exchange?.abandon('the caller has left')
    })
    this.#limit(limits.headMs)
  }

  // The body of the request.

  onData(piece: Buffer): void {
    if (this.#exchange?.isOver === false) this.#exchange.bodyCame(piece)
  }

  onEnd(trailers: Fields): void {
    if (this.#exchange?.isOver === false) this.#exchange.bodyEnded(trailers)
  }

  // For the exchange.

  get hasWholeRequest(): boolean {
    return this.#body === undefined || this.#body.isEnded
  }

  goAhead(): void {
    if (this.#head?.minor === 1) this.#send(CONTINUE)
  }

  begin(body: AnswerBody, status: number, head: Buffer): void {
    const { method = '', minor = 1 } = this.#head ?? {}
    const isEndedByClosing = body === 'chunked' && minor === 0
    this.#isChunked = body === 'chunked' && minor === 1
    this.#isLast = !this.#isKept || !this.hasWholeRequest || isEndedByClosing
    this.#send(formatAnswerHead({ body, status, head, method, minor, isLast: this.#isLast }))
  }

  write(piece: Buffer): boolean {
    if (!this.#isChunked) return this.#send(piece)
    let hasRoom = true
    for (const part of formatChunk(piece)) hasRoom = this.#send(part)
    return hasRoom
  }

  complete(trailers: Fields): void {
    if (this.#isChunked) this.#send(formatLastChunk(trailers))
    this.#exchangeEnded(this.#isLast || !this.hasWholeRequest)
  }

  refuse(refusal: ServiceRefusal): void {
    const isLast = !this.#isKept || !this.hasWholeRequest
    this.#send(formatRefusal(refusal, this.#head?.method ?? '', isLast))
    this.#exchangeEnded(isLast)
  }

  end(): void {
    this.#writer.end()
  }

  breakOff(): void {
    // TLS cannot be reset; without its last message, the end is none of the answer either
    if (this.socket instanceof TLSSocket) this.socket.destroy()
    else this.socket.resetAndDestroy()
  }

  flowChanged(): void {
    const isBlocked = this.#exchange?.isBlocked === true || (this.#behind.length > 0 && this.#exchange?.isRaw !== true)
    if (isBlocked && !this.#isClosing) this.socket.pause()
    else this.socket.resume()
  }

  becameRaw(): void {
    const behind = this.#behind
    this.#behind = NOTHING
    if (behind.length > 0) this.#exchange?.rawCame(behind)
    if (this.socket.readableEnded) this.#exchange?.rawEnded() // before the upgrade
    this.flowChanged()
  }

  #send(bytes: Buffer): boolean {
    return this.#writer.write(bytes)
  }

  #exchangeEnded(isLast: boolean): void {
    this.#unwatch?.()
    this.#unwatch = undefined
    if (isLast) this.#finish()
    else if (this.#writer.isDrained) this.#next()
    else {
      this.#isDraining = true
      limitUnread(this.socket, this.#endLimits)
    }
  }

  /** All was handed over that waited for the caller. */
  #drained(): void {
    this.#exchange?.callerDrained()
    if (!this.#isDraining || !this.#writer.isDrained) return
    this.#isDraining = false
    this.socket.setTimeout(0)
    this.#next()
  }

  #next(): void {
    this.#exchange = undefined
    this.#body = undefined
    this.#limit(this.limits.idleMs)
    this.onUse(false)
    if (this.#behind.length > 0)
      setImmediate(() => this.#read(NOTHING)) // between pipelined requests others have their turn
    else this.socket.resume()
  }

  #read(chunk: Buffer): void {
    if (this.socket.destroyed) return
    countStreamed(chunk.length)
    if (this.#isClosing) {
      this.#dropped += chunk.length
      if (this.#dropped > MAX_DROPPED_BYTES) this.socket.destroy()
      return
    }
    try {
      this.#take(chunk)
    } catch (error) {
      if (!(error instanceof BadMessageError)) throw error
      this.#refuseMessage(error)
    }
  }

  #take(chunk: Buffer): void {
    if (this.#exchange === undefined) this.#readHead(chunk)
    else if (this.#exchange.isRaw) this.#exchange.rawCame(chunk)
    else if (this.hasWholeRequest) this.#keepBehind(chunk)
    else this.#keepBehind(this.#body?.read(chunk))
  }

  #readHead(chunk: Buffer): void {
    const bytes = this.#behind.length === 0 ? chunk : Buffer.concat([this.#behind, chunk])
    this.#behind = NOTHING
    if (bytes.length === 0) return
    const wasWithin = this.#heads.isWithin
    const found = this.#heads.read(bytes)
    if (found === undefined) {
      if (!wasWithin) this.#limit(this.limits.headMs)
      this.flowChanged()
      return
    }
    this.#limit(0)
    this.#begin(parseRequestHead(found.head), found.rest)
  }

  #begin(head: RequestHead, rest: Buffer): void {
    if (NOT_SERVED.has(head.method)) {
      this.#refuseLast({ status: 501, message: `${head.method} is not passed on to services` })
      return
    }
    const framing = requestFraming(head)
    const { target, host } = readDestination(head)
    const remoteAddress = (this.socket.remoteAddress ?? '').replace(/^::ffff:/, '')
    const request = { head, target, host, socket: this.socket, remoteAddress }
    this.onUse(true)
    this.#head = head
    this.#isKept = isPersistent(head)
    this.#body = new MessageBodyReader(framing, this)
    const exchange = new CallerExchange(this, this.entry)
    this.#exchange = exchange
    exchange.asked(cameRequest(request))
    const destination = this.entry.admit(request)
    this.#keepBehind(this.#body.read(rest))
    if (isServiceRefusal(destination)) exchange.refuse(destination)
    else {
      this.#unwatch = destination.watchRight?.(() => exchange.revoke(RIGHT_LOST))
      exchange.start(requestForService(request, destination, framing, this.origin))
    }
  }

  #keepBehind(rest: Buffer | undefined): void {
    if (rest === undefined || rest.length === 0) return
    this.#behind = this.#behind.length === 0 ? rest : Buffer.concat([this.#behind, rest])
    this.flowChanged()
  }

  #refuseMessage({ problem, message }: BadMessageError): void {
    const exchange = this.#exchange
    const isAnswerBegun = exchange !== undefined && (exchange.isOver || exchange.hasAnswer)
    const status = problem === 'too-large' ? 431 : problem === 'version' ? 505 : 400
    exchange?.abandon(message, isAnswerBegun ? undefined : status)
    if (isAnswerBegun) return void this.socket.destroy()
    this.#refuseLast({ status, message })
  }

  /** Answers, and reads no further request: what follows cannot be told apart. */
  #refuseLast(refusal: ServiceRefusal): void {
    this.#send(formatRefusal(refusal, '', true))
    this.#finish()
  }

  #limit(ms: number): void {
    clearTimeout(this.#timer)
    this.#timer = ms === 0 ? undefined : setTimeout(() => this.socket.destroy(), ms).unref()
  }

  get #endLimits(): EndLimits {
    return this.limits.end ?? END_LIMITS
  }

  /** Ends the connection once the answer has gone; the rest of a body is dropped meanwhile. */
  #finish(): void {
    this.onUse(false)
    this.#isClosing = true
    this.#isDraining = false
    this.#behind = NOTHING
    this.#limit(0)
    endWithin(this.socket, this.#endLimits)
    this.#writer.end()
    this.socket.resume()
  }

  /** The caller has shut down its side. One that keeps its connection would not have: it has left. */
  #ended(): void {
    if (this.#isClosing) return
    if (this.#isDraining) this.#finish()
    else if (this.#exchange?.isRaw === true) this.#exchange.rawEnded()
    else if (this.#exchange === undefined || this.#isKept || !this.hasWholeRequest) this.socket.destroy()
  }
}
