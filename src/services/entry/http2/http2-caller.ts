import { constants, type ServerHttp2Stream } from 'node:http2'
import { countStreamed } from '../../../process/pacing/buffer-collection.js'
import { cleanFields } from '../../exchange/clean-fields.js'
import type { AnswerBody } from '../../exchange/exchange-messages.js'
import { SocketWriter } from '../../exchange/socket-writer.js'
import { BadMessageError, malformed } from '../../http1/bad-message-error.js'
import { type Fields, NO_FIELDS } from '../../http1/fields.js'
import { parseResponseHead } from '../../http1/parse-heads.js'
import { checkTrailerNames } from '../../http1/trailers.js'
import { readHeaderBlock, toHttp2Headers } from '../../http2/header-blocks.js'
import { type MessageEnd, watchMessageEnd } from '../../http2/message-end.js'
import { CallerExchange } from '../caller-exchange.js'
import type { ExchangeCaller } from '../exchange-caller.js'
import type { ServiceEntry } from '../service-entry.js'
import type { ServiceRefusal } from '../service-refusal.js'
import { dropRest } from './drop-rest.js'

/** Statuses whose answers have no body; Node ends the stream with their head. */
const WITHOUT_BODY = new Set([204, 205, 304])
/** HTTP/2 of Node sends no others. */
const MAX_STATUS = 599

export interface Http2CallerOptions {
  readonly stream: ServerHttp2Stream
  readonly entry: ServiceEntry
  /** Whether the request ended with its header block. */
  readonly isWhole: boolean
  /** Told of each piece of the answer, and of its end. */
  readonly onProgress: () => void
  /** @param isReset whether the caller gave up before the answer was complete */
  readonly onClosed: (isReset: boolean) => void
}

/** The caller of one request in HTTP/2: a stream of its connection. */
export class Http2Caller implements ExchangeCaller {
  readonly exchange: CallerExchange
  /** Ends the watch over the right of the request. */
  unwatch: (() => void) | undefined
  readonly #stream: ServerHttp2Stream
  readonly #writer: SocketWriter
  readonly #onProgress: () => void
  #isWhole: boolean
  readonly #end: MessageEnd
  #requestTrailers: Fields = NO_FIELDS
  #trailers: Fields = NO_FIELDS
  #takesBody = true
  #isComplete = false
  #isReset = false

  constructor({ stream, entry, isWhole, onProgress, onClosed }: Http2CallerOptions) {
    this.#stream = stream
    this.#onProgress = onProgress
    this.#isWhole = isWhole
    this.#end = watchMessageEnd(stream)
    this.exchange = new CallerExchange(this, entry)
    stream.pause() // until there is somewhere to pass the body on to
    stream.on('data', (piece: Buffer) => {
      countStreamed(piece.length)
      if (!this.exchange.isOver) this.exchange.bodyCame(piece)
    })
    stream.on('trailers', (...[, , raw]: [unknown, unknown, readonly string[]]) => this.#takeTrailers(raw))
    stream.on('end', () => this.#ended())
    this.#writer = new SocketWriter(stream, () => this.exchange.callerDrained())
    stream.on('wantTrailers', () => this.#sendTrailers())
    stream.on('error', () => undefined) // `close` follows
    stream.on('aborted', () => this.#left())
    stream.once('close', () => {
      this.#left()
      onClosed(this.#isReset)
    })
  }

  get hasWholeRequest(): boolean {
    return this.#isWhole
  }

  goAhead(): void {
    if (this.#canBegin) this.#stream.additionalHeaders({ ':status': constants.HTTP_STATUS_CONTINUE })
  }

  begin(body: AnswerBody, _status: number, head: Buffer): void {
    if (body === 'raw') throw malformed('there is no upgrade in HTTP/2')
    const { status, fields } = parseResponseHead(`${head.toString('latin1')}\r\n`)
    if (status > MAX_STATUS) throw malformed(`HTTP/2 carries no status ${status}`)
    const passed = cleanFields(fields)
    this.#respond(status, passed, body === 'none' || (body === 'length' && namesNoBytes(passed)))
  }

  write(piece: Buffer): boolean {
    this.#onProgress()
    if (!this.#takesBody || this.#stream.closed || this.#stream.destroyed) return true
    return this.#writer.write(piece)
  }

  end(): void {
    this.breakOff() // nothing raw is begun here
  }

  complete(trailers: Fields): void {
    this.#trailers = trailers
    this.#isComplete = true
    this.#finish()
  }

  refuse({ status, message, fields = [] }: ServiceRefusal): void {
    this.#isComplete = true
    if (!this.#canBegin) return
    const text = Buffer.from(`${message}\n`)
    const described = ['content-type', 'text/plain; charset=utf-8', 'content-length', String(text.length), ...fields]
    this.#respond(status, described, false)
    if (this.#takesBody) this.#writer.write(text)
    this.#finish()
  }

  breakOff(): void {
    this.#release()
    this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR)
  }

  flowChanged(): void {
    if (this.exchange.isBlocked) this.#stream.pause()
    else this.#stream.resume()
  }

  becameRaw(): void {
    this.breakOff()
  }

  get #canBegin(): boolean {
    return !this.#stream.headersSent && !this.#stream.closed && !this.#stream.destroyed
  }

  #respond(status: number, fields: Fields, isEnd: boolean): void {
    if (!this.#canBegin) return
    this.#takesBody = !isEnd && !WITHOUT_BODY.has(status) && !this.#stream.writableEnded // that of HEAD has
    const passed = status === constants.HTTP_STATUS_NO_CONTENT ? without(fields, 'content-length') : fields
    // the date is the service's
    const options = { endStream: !this.#takesBody, waitForTrailers: this.#takesBody, sendDate: false }
    this.#stream.respond({ ...toHttp2Headers(passed), ':status': status }, options)
  }

  /** Ends the answer, and reads no more of the request than what makes the caller see it. */
  #finish(): void {
    this.#release()
    this.#onProgress()
    this.#writer.end()
    if (this.#isWhole) this.#stream.resume()
    else dropRest(this.#stream)
  }

  #sendTrailers(): void {
    if (this.#isComplete && !this.#stream.closed && !this.#stream.destroyed) {
      this.#stream.sendTrailers(toHttp2Headers(this.#trailers))
    }
  }

  #takeTrailers(raw: readonly string[]): void {
    try {
      const { fields } = readHeaderBlock(raw)
      checkTrailerNames(fields)
      this.#requestTrailers = cleanFields(fields)
    } catch (error) {
      if (!(error instanceof BadMessageError)) throw error
      this.refuseMessage(error)
    }
  }

  /** Answers a request that is malformed, where its answer has not begun. */
  refuseMessage({ problem, message }: BadMessageError): void {
    const isOver = this.exchange.isOver
    const hasAnswer = this.exchange.hasAnswer
    const status = problem === 'too-large' ? 431 : 400
    this.exchange.abandon(message, hasAnswer ? undefined : status)
    if (isOver) return
    if (hasAnswer) this.#stream.close(constants.NGHTTP2_PROTOCOL_ERROR)
    else this.refuse({ status, message })
  }

  #ended(): void {
    if (this.#isWhole || !this.#end.hasCome) return
    this.#isWhole = true
    if (!this.exchange.isOver) this.exchange.bodyEnded(this.#requestTrailers)
  }

  #left(): void {
    this.#release()
    this.#isReset ||= !this.#isComplete && !this.exchange.isOver
    this.exchange.abandon('the caller has left') // also of an answer of which a part was not read
  }

  #release(): void {
    this.unwatch?.()
    this.unwatch = undefined
  }
}

function without(fields: Fields, name: string): Fields {
  return fields.filter((_text, index) => fields[index - (index % 2)]?.toLowerCase() !== name)
}

/** Whether the length of a body is 0. */
function namesNoBytes(fields: Fields): boolean {
  for (let at = 0; at + 1 < fields.length; at += 2) {
    if (fields[at]?.toLowerCase() === 'content-length') return Number(fields[at + 1]) === 0
  }
  return false
}
