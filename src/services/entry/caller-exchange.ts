import type { FramedStream, StreamResetError, StreamSink } from '../../links/streams/framed-stream.js'
import { RESET } from '../../links/streams/stream-protocol.js'
import { errorMessage } from '../../values/failures/system-error.js'
import { GatheredPieces } from '../../values/gathered-pieces.js'
import {
  type AnswerBody,
  type ExchangeMessage,
  formatTrailers,
  parseExchangeMessage
} from '../exchange/exchange-messages.js'
import { formatServiceRequest, type ServiceRequest } from '../exchange/service-request.js'
import { type Fields, NO_FIELDS } from '../http1/fields.js'
import type { ServiceWay } from '../keys/replica.js'
import { AnswerCheck } from './answer-check.js'
import type { ExchangeCaller } from './exchange-caller.js'
import { expectsContinue } from './request-for-service.js'
import type { ServiceEntry } from './service-entry.js'
import type { ServiceRefusal } from './service-refusal.js'
import type { RequestTraffic } from './traffic/request-traffic.js'
import type { CameRequest } from './traffic/served-request.js'

const MAX_REPLAY_BYTES = 64 * 1024

/** One request of a caller, and its answer. */
export class CallerExchange implements StreamSink {
  #stream: FramedStream | undefined
  #opening: Buffer | undefined
  readonly #tried = new Set<ServiceWay>()
  /** The beginning of the body, for another try. */
  #replay: GatheredPieces | undefined = new GatheredPieces()
  #bodyTrailers: Fields | undefined
  #answer: AnswerBody | undefined
  #trailers: Fields = NO_FIELDS
  /** Bytes of the answer that the caller's connection takes later. */
  #held = 0
  #isBlocked = true
  #isOver = false
  /** The service has ended its direction of raw bytes. */
  #hasRawEnd = false
  #request: ServiceRequest | undefined
  #check: AnswerCheck | undefined
  #traffic: RequestTraffic | undefined

  constructor(
    private readonly caller: ExchangeCaller,
    private readonly entry: ServiceEntry
  ) {}

  /** Whether nothing more of the request is wanted. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** Whether no more of the request should be read now. */
  get isBlocked(): boolean {
    // what behind a whole request is not read would hide that the caller leaves
    const mayBeSlowed = this.isRaw || !this.caller.hasWholeRequest
    return (this.#isBlocked || (mayBeSlowed && this.#traffic?.isSlowed === true)) && !this.#isOver
  }

  /** Whether the caller got the beginning of an answer. */
  get hasAnswer(): boolean {
    return this.#answer !== undefined
  }

  get isRaw(): boolean {
    return this.#answer === 'raw'
  }

  /** Counts the request, which has come. */
  asked(came: CameRequest): void {
    this.#traffic = this.entry.traffic.begin(came)
  }

  /** Sends the request on, once its key has room for it. Refuses it where it has none. */
  start(request: ServiceRequest): void {
    const refusal = this.#traffic?.enter(request.key, request.upgrade !== undefined, {
      end: why => this.revoke(why),
      allow: bytes => this.#stream?.allow(bytes),
      flowChanged: () => this.caller.flowChanged()
    })
    if (refusal !== undefined) return void this.refuse(refusal)
    this.#request = request
    this.#check = new AnswerCheck(request)
    this.#opening = formatServiceRequest(request)
    this.#traffic?.whenDue(() => this.#open())
  }

  /** Answers in place of the service. */
  refuse(refusal: ServiceRefusal): void {
    this.#over(false, refusal.status)
    this.caller.refuse(refusal)
  }

  bodyCame(piece: Buffer): void {
    this.#remember(piece)
    if (this.#stream?.write(piece) === false) this.#block()
    this.#countUp(piece.length)
  }

  bodyEnded(trailers: Fields): void {
    this.#bodyTrailers = trailers
    if (this.#stream !== undefined) this.#endBody(this.#stream)
  }

  rawCame(bytes: Buffer): void {
    if (this.#stream?.write(bytes) === false) this.#block()
    this.#countUp(bytes.length)
  }

  rawEnded(): void {
    this.#stream?.end()
  }

  callerDrained(): void {
    const held = this.#held
    this.#held = 0
    this.#passed(held)
  }

  /**
   * Ends the exchange where it is: the caller has gone, or sent what is no request.
   * @param status of the answer to that
   */
  abandon(reason: string, status?: number): void {
    this.#over(this.#hasRawEnd, status)
    this.#stream?.reset(RESET.cancelled, reason)
  }

  /** Ends the exchange, since its caller has lost the right to it. */
  revoke(refusal: ServiceRefusal): void {
    if (this.#isOver) return
    this.#stream?.reset(RESET.cancelled, refusal.message)
    this.#stream = undefined
    if (this.#answer === undefined) this.refuse(refusal)
    else {
      this.#over(false)
      this.caller.breakOff()
    }
  }

  onMessage(payload: Buffer): void {
    this.#stream?.consumed(payload.length)
    this.#checked(() => this.#take(parseExchangeMessage(payload)))
  }

  onData(piece: Buffer): void {
    if (!this.#checked(() => this.#check?.data(piece.length))) return
    this.#traffic?.moveDown(piece.length)
    if (this.caller.write(piece)) this.#passed(piece.length)
    else this.#held += piece.length
  }

  onEnd(): void {
    if (this.#answer === undefined) {
      this.#stream?.reset(RESET.broken, 'there was no answer')
      this.#fail('the other side ended without an answer')
    } else if (!this.#checked(() => this.#check?.end())) return
    else if (this.isRaw) {
      this.#hasRawEnd = true
      this.caller.end()
    } else {
      this.#over(true)
      if (!this.caller.hasWholeRequest) this.#stream?.reset(RESET.cancelled, 'the answer is complete')
      this.caller.complete(this.#trailers)
    }
  }

  onReset({ code, message }: StreamResetError): void {
    this.#stream = undefined
    if (this.#isOver) {
      if (this.#held > 0) this.caller.breakOff() // others need the room that the unread end of the answer takes
      return
    }
    const mayTryAgain = this.#answer === undefined && code === RESET.refused && this.#replay !== undefined
    if (mayTryAgain) this.#open(message)
    else this.#fail(message)
  }

  onDrain(): void {
    this.#isBlocked = false
    this.caller.flowChanged()
  }

  /** Ends the exchange where the side below sends what is no answer. @returns whether it is one */
  #checked(take: () => void): boolean {
    try {
      take()
      return true
    } catch (error) {
      this.#stream?.reset(RESET.broken, 'the answer cannot be read')
      this.#fail(`the answer cannot be read: ${errorMessage(error)}`)
      return false
    }
  }

  #take(message: ExchangeMessage): void {
    this.#check?.message(message)
    if (message.kind === 'trailers') this.#trailers = message.trailers
    else if (message.kind === 'answer') this.#begin(message.body, message.status, message.head)
    else if (this.#answer === undefined && this.#isContinueWanted) this.caller.goAhead()
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
        const refusal = this.#traffic?.awaitWay()
        if (refusal !== undefined)
          this.refuse(refusal) // and the stream is given up when it is opened
        else this.#block()
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
    this.#traffic?.wentOver([...this.#tried].at(-1)?.name)
    this.#stream = stream
    stream.sink = this
    let hasRoom = true
    for (const piece of this.#replay?.all() ?? []) hasRoom = stream.write(piece)
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

  #begin(body: AnswerBody, status: number, head: Buffer): void {
    this.caller.begin(body, status, head)
    this.#traffic?.answered(status)
    this.#answer = body
    this.#replay = undefined
    if (body === 'raw') this.caller.becameRaw()
    else if (this.#request?.upgrade !== undefined) this.#stream?.end()
  }

  #fail(reason: string): void {
    if (this.#isOver) return
    if (this.#answer === undefined) this.refuse({ status: 502, message: reason })
    else {
      this.#over(false)
      this.caller.breakOff()
    }
  }

  #over(isWhole: boolean, status?: number): void {
    this.#isOver = true
    this.#traffic?.over(isWhole, status)
  }

  /** Counts bytes that the caller has taken. */
  #passed(bytes: number): void {
    this.#traffic?.payDown(this.#stream?.passed(bytes) ?? 0)
  }

  #countUp(bytes: number): void {
    this.#traffic?.moveUp(bytes)
    if (this.#traffic?.isSlowed === true) this.caller.flowChanged()
  }

  #block(): void {
    this.#isBlocked = true
    this.caller.flowChanged()
  }

  /** Keeps the beginning of a body for another try, while it is short. */
  #remember(piece: Buffer): void {
    const replay = this.#replay
    if (replay === undefined) return
    replay.add(piece)
    if (this.#stream !== undefined && replay.bytes > MAX_REPLAY_BYTES) this.#replay = undefined
  }
}
