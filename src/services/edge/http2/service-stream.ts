import { STATUS_CODES } from 'node:http'
import { type ClientHttp2Session, type ClientHttp2Stream, constants } from 'node:http2'
import { countStreamed } from '../../../process/pacing/buffer-collection.js'
import { errorMessage } from '../../../values/failures/system-error.js'
import { SocketWriter } from '../../exchange/socket-writer.js'
import { BadMessageError } from '../../http1/bad-message-error.js'
import { type Fields, NO_FIELDS } from '../../http1/fields.js'
import { type BodyFraming, responseFraming } from '../../http1/framing.js'
import type { ResponseHead } from '../../http1/heads.js'
import { checkTrailerNames } from '../../http1/trailers.js'
import { readHeaderBlock, toHttp2Headers } from '../../http2/header-blocks.js'
import { type MessageEnd, watchMessageEnd } from '../../http2/message-end.js'
import { type AnswerSink, MAX_INTERIM, type OutgoingRequest, type ServiceChannel } from '../service-channel.js'
import { errorCodeName } from './error-codes.js'
import { requestHeaders } from './request-headers.js'
import type { ServiceSession, SessionUser } from './service-session.js'

type HeaderEvent = [headers: unknown, flags: number, raw: readonly string[]]

/** One exchange with a service in HTTP/2. */
export class ServiceStream implements ServiceChannel, SessionUser {
  #session: ServiceSession
  #isReused: boolean
  #sink: AnswerSink | undefined
  #outgoing: OutgoingRequest | undefined
  #stream: ClientHttp2Stream | undefined
  #writer: SocketWriter | undefined
  #end: MessageEnd = { hasCome: false }
  /** The pieces of the body that came before the connection stood: the window of the exchange bounds them. */
  #early: Buffer[] = []
  #isFinished = false
  #bodyTrailers: Fields = NO_FIELDS
  #answerTrailers: Fields = NO_FIELDS
  #isPaused = false
  #hasAnswered = false
  #isRefused = false
  #hasLeft = false
  #interim = 0

  /** @param pick finds a connection that stands or is being opened */
  constructor(
    private readonly pick: () => ServiceSession,
    private readonly scheme: 'http' | 'https'
  ) {
    this.#session = pick()
    this.#isReused = this.#session.hasAnswered
  }

  get isReused(): boolean {
    return this.#isReused
  }

  get isConnected(): boolean {
    return this.#stream?.id !== undefined && !this.#isRefused
  }

  begin(outgoing: OutgoingRequest, sink: AnswerSink): void {
    this.#outgoing = outgoing
    this.#sink = sink
    this.#session.enter(this)
  }

  write(piece: Buffer): boolean {
    if (this.#writer !== undefined) return this.#isGone ? true : this.#writer.write(piece)
    this.#early.push(piece)
    return false
  }

  finish(trailers: Fields): void {
    this.#isFinished = true
    this.#bodyTrailers = trailers
    this.#writer?.end()
  }

  end(): void {
    this.#writer?.end() // nothing raw is begun here
  }

  pause(): void {
    this.#isPaused = true
    this.#stream?.pause()
  }

  resume(): void {
    this.#isPaused = false
    this.#stream?.resume()
  }

  release(isSent: boolean): void {
    if (isSent) this.#sink = undefined
    else this.close()
  }

  close(): void {
    this.#sink = undefined
    this.#early = []
    if (this.#stream === undefined) this.#leave()
    else if (!this.#isGone) this.#stream.close(constants.NGHTTP2_CANCEL)
  }

  // For the session.

  onReady(session: ClientHttp2Session): void {
    const outgoing = this.#outgoing
    if (outgoing === undefined || this.#sink === undefined) return
    const endStream = outgoing.framing === 'none'
    try {
      const headers = requestHeaders(outgoing, this.scheme)
      this.#listen(session.request(headers, { endStream, waitForTrailers: !endStream }))
    } catch (error) {
      process.nextTick(() => this.onUnreachable(errorMessage(error))) // the connection was closed in this turn
      return
    }
    const early = this.#early.splice(0)
    let hasRoom = true
    for (const piece of early) hasRoom = this.#writer?.write(piece) !== false
    if (this.#isFinished) this.#writer?.end()
    if (early.length > 0 && hasRoom) this.#sink.onServiceDrain()
  }

  onCrowded(): void {
    this.#session.leave(this)
    this.#session = this.pick()
    this.#isReused = this.#session.hasAnswered
    this.#session.enter(this)
  }

  onUnreachable(reason: string): void {
    this.#early = []
    this.#leave()
    this.#fail(reason)
  }

  get #isGone(): boolean {
    return this.#stream?.closed === true || this.#stream?.destroyed === true
  }

  #listen(stream: ClientHttp2Stream): void {
    this.#stream = stream
    this.#end = watchMessageEnd(stream)
    if (this.#isPaused) stream.pause()
    stream.on('headers', (...[, , raw]: HeaderEvent) => this.#try(() => this.#takeInterim(raw)))
    stream.on('response', (...[, flags, raw]: [unknown, number, ...unknown[]]) => {
      this.#try(() => this.#takeHead(textsIn(raw), (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0))
    })
    stream.on('trailers', (...[, , raw]: [unknown, unknown, ...unknown[]]) => {
      this.#try(() => {
        const { fields } = readHeaderBlock(textsIn(raw))
        checkTrailerNames(fields)
        this.#answerTrailers = fields
      })
    })
    stream.on('data', (piece: Buffer) => {
      countStreamed(piece.length)
      if (this.#hasAnswered) this.#sink?.onAnswerData(piece)
      else this.#try(() => refuseEarlyData())
    })
    stream.on('end', () => {
      if (this.#end.hasCome && this.#hasAnswered) this.#sink?.onAnswerEnd(this.#answerTrailers)
    })
    this.#writer = new SocketWriter(stream, () => this.#sink?.onServiceDrain())
    stream.on('wantTrailers', () => {
      if (!this.#isGone) stream.sendTrailers(toHttp2Headers(this.#bodyTrailers))
    })
    stream.on('error', () => undefined) // `close` follows
    stream.once('close', () => this.#closed(stream.rstCode ?? 0))
  }

  /** The reader of an answer's part. A malformed one ends the exchange. */
  #try(read: () => void): void {
    if (this.#sink === undefined) return
    try {
      read()
    } catch (error) {
      if (!(error instanceof BadMessageError)) throw error
      this.#fail(`its answer is malformed: ${error.message}`)
      this.close()
    }
  }

  #takeInterim(raw: readonly string[]): void {
    this.#interim += 1
    if (this.#interim > MAX_INTERIM) {
      throw new BadMessageError('malformed', `more than ${MAX_INTERIM} answers with 1xx`)
    }
    this.#sink?.onInterim(responseHead(raw))
  }

  #takeHead(raw: readonly string[], isEnd: boolean): void {
    const head = responseHead(raw)
    this.#hasAnswered = true
    this.#session.hasAnswered = true
    this.#sink?.onAnswerHead(head, this.#framingOf(head, isEnd))
  }

  #framingOf(head: ResponseHead, isEnd: boolean): BodyFraming {
    const framing = responseFraming(head, this.#outgoing?.head.method ?? '')
    if (isEnd && framing.kind === 'until-close') return { kind: 'none' }
    return framing.kind === 'until-close' ? { kind: 'chunked' } : framing
  }

  #closed(code: number): void {
    this.#leave()
    this.#isRefused = code === constants.NGHTTP2_REFUSED_STREAM && !this.#hasAnswered
    this.#fail(this.#session.failure ?? `the service reset the stream (${errorCodeName(code)})`)
  }

  #leave(): void {
    if (this.#hasLeft) return
    this.#hasLeft = true
    this.#session.leave(this)
  }

  #fail(reason: string): void {
    const sink = this.#sink
    this.#sink = undefined
    sink?.onFailure(reason, this.#hasAnswered)
  }
}

function textsIn(raw: unknown): readonly string[] {
  return Array.isArray(raw) ? raw.map(String) : []
}

/** @throws {BadMessageError} */
function refuseEarlyData(): never {
  throw new BadMessageError('malformed', 'a body came before the head')
}

/** @throws {BadMessageError} */
function responseHead(raw: readonly string[]): ResponseHead {
  const { pseudo, fields } = readHeaderBlock(raw)
  const status = Number(pseudo.get(':status'))
  return { status, reason: STATUS_CODES[status] ?? '', minor: 1, fields }
}
