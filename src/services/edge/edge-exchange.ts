import type { FramedStream, StreamSink } from '../../links/streams/framed-stream.js'
import { RESET } from '../../links/streams/stream-protocol.js'
import { errorMessage } from '../../values/failures/system-error.js'
import { cleanFields } from '../exchange/clean-fields.js'
import {
  type AnswerBody,
  formatAnswer,
  formatInterim,
  formatTrailers,
  parseExchangeMessage
} from '../exchange/exchange-messages.js'
import { bodyBytes, type ServiceRequest } from '../exchange/service-request.js'
import { type Fields, NO_FIELDS } from '../http1/fields.js'
import { formatChunk, formatLastChunk } from '../http1/format.js'
import type { BodyFraming } from '../http1/framing.js'
import type { ResponseHead } from '../http1/heads.js'
import { BadOpeningError } from '../streams/open-line.js'
import { fieldsForCaller } from './answer-fields.js'
import type { AnswerSink, ServiceConnection } from './service-connection.js'

/** The service of an exchange. */
export interface ExchangeService {
  readonly baseUrl: URL
  /** A connection, which may still be opening. @param isNew no connection that was used before */
  take(isNew: boolean): ServiceConnection
  giveBack(connection: ServiceConnection, isComplete: boolean): void
  /** The head as the service gets it. */
  headFor(request: ServiceRequest): Buffer
  /** @param status undefined: the service gave no answer */
  onAnswered(status: number | undefined): void
}

const REPEATABLE = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])

/** One request at the service, and its answer on the way back. */
export class EdgeExchange implements StreamSink, AnswerSink {
  #connection: ServiceConnection
  #trailers: Fields = NO_FIELDS
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
  #isOver = false
  #isAnswering = false
  #isPaused = false

  constructor(
    private readonly stream: FramedStream,
    private readonly request: ServiceRequest,
    private readonly service: ExchangeService
  ) {
    this.#missing = bodyBytes(request)
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
    let hasRoom = true
    if (this.request.body === 'chunked' && !this.#isRaw) {
      for (const part of formatChunk(piece)) hasRoom = this.#connection.write(part)
    } else hasRoom = this.#connection.write(piece)
    if (hasRoom) this.stream.consumed(piece.length)
    else this.#held += piece.length
  }

  onMessage(payload: Buffer): void {
    this.stream.consumed(payload.length)
    try {
      const message = parseExchangeMessage(payload)
      if (message.kind !== 'trailers') throw new BadOpeningError('an answer in place of a request')
      this.#trailers = cleanFields(message.trailers)
    } catch (error) {
      this.#giveUp(errorMessage(error))
    }
  }

  onEnd(): void {
    this.#isSent = true
    this.#hasEnded = true
    if (this.#isRaw) this.#connection.end()
    else if (this.request.body === 'length' && this.#missing > 0) this.#giveUp('a body that ended early')
    else if (this.request.body === 'chunked') this.#connection.write(formatLastChunk(this.#trailers))
  }

  onReset(): void {
    this.#isOver = true
    this.#connection.close()
  }

  onDrain(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#connection.resume()
  }

  onInterim(head: ResponseHead): void {
    if (head.status === 100) this.stream.message(formatInterim({ ...head, fields: NO_FIELDS }))
  }

  onAnswerHead(head: ResponseHead, framing: BodyFraming | undefined): void {
    this.#isAnswering = true
    this.#isRaw = framing === undefined
    this.service.onAnswered(head.status)
    const fields = fieldsForCaller(head, this.request, this.service.baseUrl)
    this.#hold(this.stream.message(formatAnswer(bodyOf(framing), { ...head, fields })))
    if (this.#isRaw && this.#hasEnded) this.#connection.end()
  }

  onAnswerData(piece: Buffer): void {
    this.#hold(this.stream.write(piece))
  }

  onAnswerEnd(trailers: Fields): void {
    if (trailers.length > 0) this.stream.message(formatTrailers(cleanFields(trailers)))
    this.stream.end()
    if (this.#isRaw) return // the other direction may go on
    this.#isOver = true
    this.service.giveBack(this.#connection, this.#isSent)
    this.#passRest()
  }

  onFailure(reason: string, hasAnswered: boolean): void {
    if (this.#isOver) return
    if (!hasAnswered && this.#connection.isReused && this.#isRepeatable()) {
      this.#connection = this.#begin(true)
      return
    }
    const isUnsent = !this.#connection.isConnected
    this.#isOver = true
    if (!this.#isAnswering) this.service.onAnswered(undefined)
    this.stream.reset(isUnsent ? RESET.refused : RESET.broken, `no answer from the service: ${reason}`)
  }

  onServiceDrain(): void {
    const held = this.#held
    this.#held = 0
    this.stream.consumed(held)
  }

  #begin(isNew: boolean): ServiceConnection {
    const connection = this.service.take(isNew)
    connection.begin(this.request.head.method, this)
    connection.write(this.service.headFor(this.request))
    return connection
  }

  /** Reads and drops the rest of the request: the answer has ended without it. */
  #passRest(): void {
    this.onServiceDrain()
    this.stream.sink = new DroppedRest(this.stream)
  }

  #giveUp(reason: string): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#connection.close()
    this.stream.reset(RESET.broken, reason)
  }

  #hold(hasRoom: boolean): void {
    if (hasRoom) return
    this.#isPaused = true
    this.#connection.pause()
  }

  /** Whether the service gets the request only once in effect when it gets it twice (RFC 9110, 9.2.2), and it is all here. */
  #isRepeatable(): boolean {
    return !this.#hasSentBody && this.request.body !== 'chunked' && REPEATABLE.has(this.request.head.method)
  }
}

/** Drops the rest of a request whose answer is complete. */
class DroppedRest implements StreamSink {
  constructor(private readonly stream: FramedStream) {}

  onData(piece: Buffer): void {
    this.stream.consumed(piece.length)
  }

  onMessage(payload: Buffer): void {
    this.stream.consumed(payload.length)
  }

  onEnd(): void {}

  onReset(): void {}

  onDrain(): void {}
}

function bodyOf(framing: BodyFraming | undefined): AnswerBody {
  if (framing === undefined) return 'raw'
  return framing.kind === 'until-close' ? 'chunked' : framing.kind
}
