import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { countStreamed } from '../../process/pacing/buffer-collection.js'
import { errorCode, errorMessage } from '../../values/failures/system-error.js'
import { SocketWriter } from '../exchange/socket-writer.js'
import { BadMessageError } from '../http1/bad-message-error.js'
import type { BodySink } from '../http1/chunked-reader.js'
import { type Fields, NO_FIELDS } from '../http1/fields.js'
import { formatChunk, formatLastChunk } from '../http1/format.js'
import { responseFraming } from '../http1/framing.js'
import { HeadReader } from '../http1/head-reader.js'
import { isPersistent, type ResponseHead } from '../http1/heads.js'
import { MessageBodyReader } from '../http1/message-body-reader.js'
import { parseResponseHead } from '../http1/parse-heads.js'
import { type AnswerSink, MAX_INTERIM, type OutgoingRequest, type ServiceChannel } from './service-channel.js'
import { headForService } from './service-head.js'

/** The silence after which the system asks whether the service is still there. */
const PROBE_AFTER_MS = 60_000

/** One connection to a service: one exchange after another. */
export class ServiceConnection implements BodySink, ServiceChannel {
  /** Whether an exchange was on it before: the service may be closing it. */
  isReused = false
  #sink: AnswerSink | undefined
  #method = ''
  #heads = new HeadReader('response')
  #body: MessageBodyReader | undefined
  #isChunked = false
  #isRaw = false
  #hasAnswered = false
  #isConnected = false
  #isPersistent = false
  #interim = 0
  readonly #writer: SocketWriter
  #failure: string | undefined

  /** @param socket that is being connected @param connected the event by which it tells that it is */
  constructor(
    private readonly socket: Socket,
    connected: 'connect' | 'secureConnect',
    private readonly onClosed: () => void,
    /** Called when the next exchange may use the connection. */
    private readonly onFree: () => void
  ) {
    socket.setNoDelay(true)
    socket.once(connected, () => {
      this.#isConnected = true
      socket.setKeepAlive(true, PROBE_AFTER_MS) // a service that vanished is noticed behind a silent upgrade, too
    })
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    this.#writer = new SocketWriter(socket, () => this.#sink?.onServiceDrain())
    socket.on('end', () => this.#ended())
    socket.on('timeout', () => this.close())
    socket.on('error', error => {
      this.#failure ??= errorCode(error) ?? errorMessage(error)
    })
    socket.once('close', () => {
      this.onClosed()
      this.#fail(this.#failure ?? 'the service closed the connection')
    })
  }

  /** Whether it reached the service: nothing of a request was sent before. */
  get isConnected(): boolean {
    return this.#isConnected
  }

  get isOpen(): boolean {
    return !this.socket.destroyed && this.socket.readable
  }

  begin(outgoing: OutgoingRequest, sink: AnswerSink): void {
    this.#method = outgoing.head.method
    this.#isChunked = outgoing.framing === 'chunked'
    this.#sink = sink
    this.#hasAnswered = false
    this.#interim = 0
    this.#heads = new HeadReader('response')
    this.#writer.write(headForService(outgoing))
  }

  write(piece: Buffer): boolean {
    if (!this.#isChunked) return this.#writer.write(piece)
    let hasRoom = true
    for (const part of formatChunk(piece)) hasRoom = this.#writer.write(part)
    return hasRoom
  }

  finish(trailers: Fields): void {
    if (this.#isChunked) this.#writer.write(formatLastChunk(trailers))
  }

  end(): void {
    this.#writer.end()
  }

  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  release(isSent: boolean): void {
    this.#sink = undefined
    this.#body = undefined
    if (isSent && this.#isPersistent && this.isOpen) {
      this.isReused = true
      this.socket.resume()
      this.onFree()
    } else this.close()
  }

  /** Ends it at once. Behind an upgrade the end would pass for one in order: a reset is none. */
  close(): void {
    this.#sink = undefined
    if (this.#isRaw && !(this.socket instanceof TLSSocket)) this.socket.resetAndDestroy()
    else this.socket.destroy() // TLS cannot be reset, and tells an end in order by a message of its own
  }

  /** Ends the connection, and the exchange on it with a failure. */
  breakOff(reason: string): void {
    this.#failure ??= reason
    this.socket.destroy()
  }

  /** Sets how long the connection may stay unused, in ms; 0: as long as it likes. */
  closeAfter(ms: number): void {
    this.socket.setTimeout(ms)
  }

  // Of the body that is read.

  onData(piece: Buffer): void {
    this.#sink?.onAnswerData(piece)
  }

  onEnd(trailers: Fields): void {
    this.#sink?.onAnswerEnd(trailers)
  }

  #read(chunk: Buffer): void {
    countStreamed(chunk.length)
    try {
      this.#take(chunk)
    } catch (error) {
      if (!(error instanceof BadMessageError)) throw error
      this.#fail(`its answer is malformed: ${error.message}`)
      this.socket.destroy()
    }
  }

  #take(chunk: Buffer): void {
    let rest: Buffer | undefined = chunk
    while (rest !== undefined && rest.length > 0) {
      const sink = this.#sink
      if (sink === undefined) {
        this.socket.destroy() // nobody asked for it
        return
      }
      this.#hasAnswered = true
      if (this.#isRaw) {
        sink.onAnswerData(rest)
        return
      }
      rest = this.#body === undefined ? this.#takeHead(rest, sink) : this.#body.read(rest)
    }
  }

  /** @returns the bytes behind the head */
  #takeHead(bytes: Buffer, sink: AnswerSink): Buffer | undefined {
    const found = this.#heads.read(bytes)
    if (found === undefined) return undefined
    const head = parseResponseHead(found.head)
    if (head.status === 101) {
      this.#isRaw = true
      this.#isPersistent = false
      sink.onAnswerHead(head, undefined)
    } else if (head.status < 200) {
      this.#interim += 1
      if (this.#interim > MAX_INTERIM)
        throw new BadMessageError('malformed', `more than ${MAX_INTERIM} answers with 1xx`)
      sink.onInterim(head)
    } else return this.#beginBody(head, found.rest, sink)
    return found.rest
  }

  #beginBody(head: ResponseHead, rest: Buffer, sink: AnswerSink): Buffer | undefined {
    const framing = responseFraming(head, this.#method)
    this.#isPersistent = framing.kind !== 'until-close' && isPersistent(head)
    this.#body = new MessageBodyReader(framing, this)
    sink.onAnswerHead(head, framing)
    return this.#body?.read(rest)
  }

  #ended(): void {
    const sink = this.#sink
    if (sink === undefined) {
      this.socket.destroy()
      return
    }
    if (this.#isRaw) {
      sink.onAnswerEnd(NO_FIELDS)
      return
    }
    if (this.#body === undefined) {
      this.#failure ??= 'the service closed the connection'
      this.socket.destroy()
      return
    }
    try {
      this.#body.endOfInput()
    } catch (error) {
      this.#failure ??= errorMessage(error)
      this.socket.destroy()
    }
  }

  #fail(reason: string): void {
    const sink = this.#sink
    this.#sink = undefined
    sink?.onFailure(reason, this.#hasAnswered)
  }
}
