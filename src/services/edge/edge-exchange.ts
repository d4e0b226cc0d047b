import type { FramedStream, StreamSink } from '../../links/streams/framed-stream.js'
import { MAX_WHOLE_BYTES, RESET } from '../../links/streams/stream-protocol.js'
import { errorMessage } from '../../values/failures/system-error.js'
import { formatDuration } from '../../values/time/duration.js'
import { CredentialsError } from '../credentials/edge-credentials.js'
import { cleanFields } from '../exchange/clean-fields.js'
import { formatAnswer, formatInterim, formatTrailers, parseExchangeMessage } from '../exchange/exchange-messages.js'
import { bodyBytes, type ServiceRequest } from '../exchange/service-request.js'
import { type Fields, NO_FIELDS } from '../http1/fields.js'
import type { BodyFraming } from '../http1/framing.js'
import type { ResponseHead } from '../http1/heads.js'
import { BadOpeningError } from '../streams/open-line.js'
import { fieldsForCaller } from './answer-fields.js'
import { AnswerWait } from './answer-wait.js'
import { DroppedRest } from './dropped-rest.js'
import { bodyOf, isRepeatable, isServicesTurn } from './message-kinds.js'
import { answerInPlace } from './own-answer.js'
import type { AnswerSink, OutgoingRequest, ServiceChannel } from './service-channel.js'
import { withoutFields } from './service-head.js'

/** The service of an exchange. */
export interface ExchangeService {
  readonly baseUrl: URL
  /** The longest wait for the head of an answer, in ms; undefined: none. */
  readonly responseTimeoutMs: number | undefined
  /** A channel, whose connection may still be opening. @param isNew on no connection that was used before */
  take(isNew: boolean): ServiceChannel
  /** Names in lower case that the trailers of a request must not have: they count in its head alone. */
  readonly guarded?: ReadonlySet<string> | undefined
  /** The request as the service gets it. @throws {CredentialsError} (or rejects with it) */
  outgoing(request: ServiceRequest): OutgoingRequest | Promise<OutgoingRequest>
  /** Called for an answer 401. @returns whether the request would have other credentials now. Does not reject */
  refused(outgoing: OutgoingRequest): boolean | Promise<boolean>
  /** @param status undefined: the service gave no answer */
  onAnswered(status: number | undefined): void
}

/** One request at the service, and its answer on the way back. */
export class EdgeExchange implements StreamSink, AnswerSink {
  #connection: ServiceChannel
  #trailers: Fields = NO_FIELDS
  #hasTrailers = false
  /** Whether the whole request was sent. */
  #isSent: boolean
  /** A part of a body, or of raw bytes, was sent. */
  #hasSentBody = false
  #isRaw = false
  /** Bytes of the body that have not come. */
  #missing: number
  /** The stream ended before the offer of an upgrade was answered. */
  #hasEnded = false
  /** Bytes that the connection to the service takes later. */
  #held = 0
  readonly #wait: AnswerWait
  #isOver = false
  #isAnswering = false
  #isPaused = false
  #wasRefused = false
  /** The events of an answer 401, kept while it is found out whether there are other credentials. */
  #later: (() => void)[] | undefined

  constructor(
    private readonly stream: FramedStream,
    private readonly request: ServiceRequest,
    private readonly service: ExchangeService,
    private outgoing: OutgoingRequest
  ) {
    this.#missing = bodyBytes(request)
    this.#wait = new AnswerWait(service.responseTimeoutMs, () => this.#waitedTooLong())
    this.#isSent = request.upgrade !== undefined // it has no body; its stream ends when the offer is answered
    this.#connection = this.#begin(false)
  }

  onData(piece: Buffer): void {
    if (!this.#isRaw) this.#missing -= piece.length
    if (this.#missing < 0) {
      // it would be the next request to the service
      this.#giveUp(this.request.upgrade === undefined ? 'data behind the body of a request' : 'data before the upgrade')
      return
    }
    this.#hasSentBody = true
    if (this.#connection.write(piece)) {
      this.stream.consumed(piece.length)
      this.#wait.end() // the caller has more to send
    } else {
      this.#held += piece.length
      if (!this.#isAnswering) this.#wait.begin()
    }
  }

  onMessage(payload: Buffer): void {
    this.stream.consumed(payload.length)
    try {
      const message = parseExchangeMessage(payload)
      if (message.kind !== 'trailers') throw new BadOpeningError('an answer in place of a request')
      if (this.#hasTrailers) throw new BadOpeningError('trailers of a request that come twice')
      this.#hasTrailers = true
      const dropped = [this.outgoing.change.removed, this.service.guarded]
      this.#trailers = withoutFields(cleanFields(message.trailers), dropped)
    } catch (error) {
      this.#giveUp(errorMessage(error))
    }
  }

  onEnd(): void {
    this.#isSent = true
    this.#hasEnded = true
    if (!this.#isAnswering) this.#wait.begin()
    if (this.#isRaw) this.#connection.end()
    else if (this.request.body === 'length' && this.#missing > 0) this.#giveUp('a body that ended early')
    else if (this.request.body !== 'none') this.#connection.finish(this.#trailers)
  }

  onReset(): void {
    this.#isOver = true
    this.#wait.end()
    this.#connection.close()
  }

  onDrain(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#connection.resume()
  }

  onInterim(head: ResponseHead): void {
    if (head.status !== 100) return
    this.stream.message(formatInterim({ ...head, fields: NO_FIELDS }))
    if (!this.#hasEnded) this.#wait.end() // the caller goes on with the body
  }

  onAnswerHead(head: ResponseHead, framing: BodyFraming | undefined): void {
    this.#wait.end()
    if (framing === undefined && this.request.upgrade === undefined) {
      this.#answerFailed('it switches protocols, which nobody asked for')
      return
    }
    const isFirst = head.status === 401 && !this.#wasRefused
    const hasOthers = isFirst && this.service.refused(this.outgoing)
    if (hasOthers === false || !this.#mayAskAgain()) {
      this.#answer(head, framing)
      return
    }
    this.#wasRefused = true
    this.#later = []
    this.#connection.pause()
    void this.#askAgain(hasOthers).then(isAsked => {
      if (!isAsked) this.#goOn(head, framing)
    })
  }

  #answer(head: ResponseHead, framing: BodyFraming | undefined): void {
    const fields = fieldsForCaller(head, this.request, this.service.baseUrl)
    const answer = formatAnswer(bodyOf(framing), { ...head, fields })
    if (answer.length > MAX_WHOLE_BYTES) {
      this.#answerFailed(`its head has over ${MAX_WHOLE_BYTES} bytes with the paths that the caller needs`)
      return
    }
    this.#isAnswering = true
    this.#isRaw = framing === undefined
    this.service.onAnswered(head.status)
    this.#hold(this.stream.message(answer))
    if (this.#isRaw && this.#hasEnded) this.#connection.end()
  }

  onAnswerData(piece: Buffer): void {
    if (this.#later !== undefined) return void this.#later.push(() => this.onAnswerData(piece))
    this.#hold(this.stream.write(piece))
  }

  onAnswerEnd(trailers: Fields): void {
    if (this.#later !== undefined) return void this.#later.push(() => this.onAnswerEnd(trailers))
    if (trailers.length > 0) this.stream.message(formatTrailers(cleanFields(trailers)))
    this.stream.end()
    if (this.#isRaw) return // the other direction may go on
    this.#isOver = true
    this.#connection.release(this.#isSent)
    this.#passRest()
  }

  onFailure(reason: string, hasAnswered: boolean): void {
    if (this.#isOver) return
    if (this.#later !== undefined) return void this.#later.push(() => this.onFailure(reason, hasAnswered))
    const isUnsent = !this.#connection.isConnected
    const isWholeHere = !this.#hasSentBody && this.request.body !== 'chunked'
    if (!hasAnswered && this.#connection.isReused && isWholeHere && (isUnsent || this.#isRepeatable())) {
      this.#connection = this.#begin(true)
      return
    }
    this.#isOver = true
    this.#wait.end()
    if (!this.#isAnswering) this.service.onAnswered(undefined)
    this.stream.reset(isUnsent ? RESET.refused : RESET.broken, `no answer from the service: ${reason}`)
  }

  onServiceDrain(): void {
    const held = this.#held
    this.#held = 0
    this.stream.consumed(held)
    if (!this.#hasEnded) this.#wait.end()
  }

  #begin(isNew: boolean): ServiceChannel {
    const connection = this.service.take(isNew)
    connection.begin(this.outgoing, this)
    if (this.outgoing.body !== undefined) {
      for (const piece of this.outgoing.body) connection.write(piece)
      connection.finish(NO_FIELDS)
    }
    if (isServicesTurn(this.request)) this.#wait.begin()
    return connection
  }

  /** Asks with other credentials. @returns whether it has, or the exchange is over. Does not reject */
  async #askAgain(hasOthers: boolean | Promise<boolean>): Promise<boolean> {
    if (!(await hasOthers)) return this.#isOver
    try {
      this.outgoing = await this.service.outgoing(this.request)
    } catch (error) {
      if (!(error instanceof CredentialsError)) throw error
      return this.#isOver
    }
    if (this.#isOver) return true
    this.#later = undefined
    this.#connection.close() // the rest of its answer is of no use
    this.#connection = this.#begin(true)
    return true
  }

  /** Passes on an answer that was held. */
  #goOn(head: ResponseHead, framing: BodyFraming | undefined): void {
    const later = this.#later ?? []
    this.#later = undefined
    this.#answer(head, framing)
    if (!this.#isPaused) this.#connection.resume()
    for (const event of later) event()
  }

  #waitedTooLong(): void {
    if (this.#isOver || this.#isAnswering) return
    this.#isOver = true
    this.#connection.close()
    this.service.onAnswered(undefined)
    const limit = formatDuration(this.service.responseTimeoutMs ?? 0)
    answerInPlace(this.stream, this.request.head.method, 504, `the service did not answer within ${limit}`)
    this.#passRest()
  }

  /** Reads and drops the rest of the request: the answer has ended without it. */
  #passRest(): void {
    this.onServiceDrain()
    this.stream.sink = new DroppedRest(this.stream)
  }

  /** Ends the exchange, since the answer cannot be passed on. */
  #answerFailed(reason: string): void {
    if (this.#isOver) return
    this.service.onAnswered(undefined)
    this.#giveUp(`no answer from the service: ${reason}`)
  }

  #giveUp(reason: string): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#wait.end()
    this.#connection.close()
    this.stream.reset(RESET.broken, reason)
  }

  #hold(hasRoom: boolean): void {
    if (hasRoom) return
    this.#isPaused = true
    this.#connection.pause()
  }

  /** Whether a request that was refused can be sent again: it is all here, and had no effect. */
  #mayAskAgain(): boolean {
    return this.request.body === 'none' && this.#isRepeatable()
  }

  /** Whether the request can be sent again: it is all here, and has the same effect twice. */
  #isRepeatable(): boolean {
    return !this.#hasSentBody && isRepeatable(this.request)
  }
}
