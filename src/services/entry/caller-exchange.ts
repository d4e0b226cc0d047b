import type { FramedStream, StreamResetError, StreamSink } from '../../links/streams/framed-stream.js'
import { RESET } from '../../links/streams/stream-protocol.js'
import { errorMessage } from '../../values/failures/system-error.js'
import {
  type AnswerBody,
  type ExchangeMessage,
  formatTrailers,
  parseExchangeMessage
} from '../exchange/exchange-messages.js'
import { formatServiceRequest, type ServiceRequest } from '../exchange/service-request.js'
import { type Fields, NO_FIELDS } from '../http1/fields.js'
import { formatChunk, formatLastChunk } from '../http1/format.js'
import type { ServiceWay } from '../keys/replica.js'
import { formatRefusal } from './refusals.js'
import { expectsContinue } from './request-for-service.js'
import type { ServiceEntry, ServiceRefusal } from './service-entry.js'

/** The connection of the caller, as an exchange uses it. */
export interface ExchangeCaller {
  /** @returns false when no more should be written until `callerDrained` */
  write(bytes: Buffer): boolean
  /** Ends the direction to the caller: of raw bytes. */
  end(): void
  /** Breaks the connection off: what was sent is not the whole. */
  breakOff(): void
  /** Whether the whole request has come. */
  readonly hasWholeRequest: boolean
  /** Whether the caller keeps its connection for the next request. */
  readonly isKept: boolean
  /** HTTP/1.0 or HTTP/1.1. */
  readonly minor: 0 | 1
  /** The exchange may be blocked where it was not, or the other way round. */
  flowChanged(): void
  /** From now on raw bytes come. */
  becameRaw(): void
  /** The answer is complete. @param isLast whether the connection ends with it */
  exchangeEnded(isLast: boolean): void
}

/** The beginning of a body, for another try. */
interface Replay {
  readonly pieces: Buffer[]
  bytes: number
}

const MAX_REPLAY_BYTES = 64 * 1024
const CONTINUE = Buffer.from('HTTP/1.1 100 Continue\r\n\r\n')

/** One request of a caller, and its answer. */
export class CallerExchange implements StreamSink {
  #stream: FramedStream | undefined
  #opening: Buffer | undefined
  readonly #tried = new Set<ServiceWay>()
  #replay: Replay | undefined = { pieces: [], bytes: 0 }
  #bodyTrailers: Fields | undefined
  #answer: AnswerBody | undefined
  #trailers: Fields = NO_FIELDS
  /** Bytes of the answer that the caller's connection takes later. */
  #held = 0
  #isBlocked = true
  #isOver = false
  #isLast = false
  #request: ServiceRequest | undefined

  constructor(
    private readonly method: string,
    private readonly caller: ExchangeCaller,
    private readonly entry: ServiceEntry
  ) {}

  /** Whether nothing more of the request is wanted. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** Whether no more of the request should be read now. */
  get isBlocked(): boolean {
    return this.#isBlocked && !this.#isOver
  }

  /** Whether the caller got the beginning of an answer. */
  get hasAnswer(): boolean {
    return this.#answer !== undefined
  }

  get isRaw(): boolean {
    return this.#answer === 'raw'
  }

  start(request: ServiceRequest): void {
    this.#request = request
    this.#opening = formatServiceRequest(request)
    this.#open()
  }

  /** Answers in place of the service. */
  refuse(refusal: ServiceRefusal): void {
    this.#isOver = true
    const isLast = !this.caller.isKept || !this.caller.hasWholeRequest
    this.caller.write(formatRefusal(refusal, this.method, isLast))
    this.caller.exchangeEnded(isLast)
  }

  bodyCame(piece: Buffer): void {
    this.#remember(piece)
    if (this.#stream === undefined) return
    if (!this.#stream.write(piece)) this.#block()
  }

  bodyEnded(trailers: Fields): void {
    this.#bodyTrailers = trailers
    if (this.#stream !== undefined) this.#endBody(this.#stream)
  }

  rawCame(bytes: Buffer): void {
    if (this.#stream?.write(bytes) === false) this.#block()
  }

  rawEnded(): void {
    this.#stream?.end()
  }

  callerDrained(): void {
    const held = this.#held
    this.#held = 0
    this.#stream?.consumed(held)
  }

  /** Ends the exchange where it is: the caller has gone, or sent what is no request. */
  abandon(reason: string): void {
    this.#isOver = true
    this.#stream?.reset(RESET.cancelled, reason)
  }

  /** Ends the exchange, since its caller has lost the right to it. */
  revoke(refusal: ServiceRefusal): void {
    if (this.#isOver) return
    this.#stream?.reset(RESET.cancelled, refusal.message)
    this.#stream = undefined
    if (this.#answer === undefined) this.refuse(refusal)
    else {
      this.#isOver = true
      this.caller.breakOff()
    }
  }

  onMessage(payload: Buffer): void {
    this.#stream?.consumed(payload.length)
    let message: ExchangeMessage
    try {
      message = parseExchangeMessage(payload)
    } catch (error) {
      this.#stream?.reset(RESET.broken, 'the answer cannot be read')
      this.#fail(`the answer cannot be read: ${errorMessage(error)}`)
      return
    }
    if (message.kind === 'trailers') this.#trailers = message.trailers
    else if (message.kind === 'answer') this.#begin(message.body, message.head)
    else if (this.#answer === undefined && this.caller.minor === 1 && this.#isContinueWanted)
      this.caller.write(CONTINUE)
  }

  onData(piece: Buffer): void {
    let hasRoom = true
    if (this.#isChunked) for (const part of formatChunk(piece)) hasRoom = this.caller.write(part)
    else hasRoom = this.caller.write(piece)
    if (hasRoom) this.#stream?.consumed(piece.length)
    else this.#held += piece.length
  }

  onEnd(): void {
    if (this.#answer === undefined) {
      this.#stream?.reset(RESET.broken, 'there was no answer')
      this.#fail('the other side ended without an answer')
    } else if (this.isRaw) this.caller.end()
    else {
      if (this.#isChunked) this.caller.write(formatLastChunk(this.#trailers))
      this.#isOver = true
      if (!this.caller.hasWholeRequest) this.#stream?.reset(RESET.cancelled, 'the answer is complete')
      this.caller.exchangeEnded(this.#isLast || !this.caller.hasWholeRequest)
    }
  }

  onReset({ code, message }: StreamResetError): void {
    this.#stream = undefined
    if (this.#isOver) return
    const mayTryAgain = this.#answer === undefined && code === RESET.refused && this.#replay !== undefined
    if (mayTryAgain) this.#open(message)
    else this.#fail(message)
  }

  onDrain(): void {
    this.#isBlocked = false
    this.caller.flowChanged()
  }

  get #isChunked(): boolean {
    return this.#answer === 'chunked' && this.caller.minor === 1
  }

  get #isContinueWanted(): boolean {
    return this.#request !== undefined && expectsContinue(this.#request.head)
  }

  /** @param reason of the failure before this try */
  #open(reason?: string): void {
    const { entry } = this
    if (this.#opening === undefined || this.#request === undefined) return
    try {
      const opened = entry.open(this.#request.key, this.#opening, this.#tried)
      if (opened instanceof Promise) {
        this.#block()
        opened.then(
          stream => this.#opened(stream),
          (error: unknown) => this.#fail(reason ?? errorMessage(error))
        )
      } else this.#opened(opened)
    } catch (error) {
      this.#fail(reason ?? errorMessage(error)) // that no further way is left says less than why the last one failed
    }
  }

  #opened(stream: FramedStream): void {
    if (this.#isOver) {
      stream.reset(RESET.cancelled, 'the caller has left')
      return
    }
    this.#stream = stream
    stream.sink = this
    let hasRoom = true
    for (const piece of this.#replay?.pieces ?? []) hasRoom = stream.write(piece)
    if (this.#bodyTrailers !== undefined) this.#endBody(stream)
    this.#isBlocked = !hasRoom
    this.caller.flowChanged()
  }

  /** A request that offers an upgrade has no body, and goes on as raw bytes where the service takes the offer. */
  #endBody(stream: FramedStream): void {
    if (this.#request?.upgrade !== undefined && this.#answer === undefined) return
    if (this.#bodyTrailers !== undefined && this.#bodyTrailers.length > 0) {
      stream.message(formatTrailers(this.#bodyTrailers))
    }
    stream.end()
  }

  #begin(body: AnswerBody, head: Buffer): void {
    this.#answer = body
    this.#replay = undefined
    const { caller } = this
    if (body === 'raw') {
      caller.write(Buffer.concat([head, Buffer.from('Connection: Upgrade\r\n\r\n')]))
      caller.becameRaw()
      return
    }
    if (this.#request?.upgrade !== undefined) this.#stream?.end()
    this.#isLast = !caller.isKept || !caller.hasWholeRequest || (body === 'chunked' && caller.minor === 0)
    const framing = this.#isChunked ? 'Transfer-Encoding: chunked\r\n' : ''
    const connection = this.#isLast ? 'Connection: close\r\n' : caller.minor === 0 ? 'Connection: keep-alive\r\n' : ''
    caller.write(Buffer.concat([head, Buffer.from(`${framing}${connection}\r\n`)]))
  }

  #fail(reason: string): void {
    if (this.#isOver) return
    if (this.#answer === undefined) this.refuse({ status: 502, message: reason })
    else {
      this.#isOver = true
      this.caller.breakOff()
    }
  }

  #block(): void {
    this.#isBlocked = true
    this.caller.flowChanged()
  }

  /** Keeps the beginning of a body for another try, while it is short. */
  #remember(piece: Buffer): void {
    const replay = this.#replay
    if (replay === undefined) return
    replay.bytes += piece.length
    replay.pieces.push(piece)
    if (this.#stream !== undefined && replay.bytes > MAX_REPLAY_BYTES) this.#replay = undefined
  }
}
