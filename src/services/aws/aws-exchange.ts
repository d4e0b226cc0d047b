import { createHash } from 'node:crypto'
import type { AwsScope } from '../../config/services/service-config.js'
import type { FramedStream, StreamResetError, StreamSink } from '../../links/streams/framed-stream.js'
import { RESET, type ResetCode } from '../../links/streams/stream-protocol.js'
import { CredentialsError } from '../credentials/edge-credentials.js'
import { formatInterim } from '../exchange/exchange-messages.js'
import { bodyBytes, type ServiceRequest } from '../exchange/service-request.js'
import { fieldValues, NO_FIELDS } from '../http1/fields.js'
import { fieldsToSign, MAX_HASHED_BYTES, planBody, tooLong } from './aws-request.js'
import type { AwsTarget } from './aws-target.js'
import type { HeldBytes } from './held-bytes.js'

/** A request whose body is complete, or of which only the head is known. */
export interface SignableRequest {
  readonly request: ServiceRequest
  /** The fields for the service, without a signature, `Host`, and what describes a held body. */
  readonly fields: readonly string[]
  readonly target: AwsTarget
  readonly payload: string
  /** The body; undefined where it comes later. */
  readonly body: readonly Buffer[] | undefined
}

export interface AwsExchangeParts {
  readonly scope: AwsScope
  readonly held: HeldBytes
  /** The longest silence of a caller whose body is held, in ms. */
  readonly idleMs: number
  /** Signs a request. @returns a function that begins it at the service. @param onAnswered called when the body is needed no longer */
  sign(request: SignableRequest, onAnswered: () => void): Promise<() => StreamSink>
  /** Answers in place of the service. */
  refuse(status: number, message: string): void
}

/** A request to AWS until it is signed: it holds the body, whose hash is signed before its first byte is sent. */
export class AwsExchange implements StreamSink {
  readonly #fields: readonly string[]
  readonly #isHeld: boolean
  readonly #hash = createHash('sha256')
  readonly #declared: number
  #pieces: Buffer[] = []
  #bytes = 0
  /** Bytes that count in the bound of all. */
  #taken = 0
  #messages: Buffer[] = []
  #hasEnded = false
  #isOver = false
  #isSigning = false
  #inner: StreamSink | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(
    private readonly stream: FramedStream,
    private readonly request: ServiceRequest,
    private readonly target: AwsTarget,
    private readonly parts: AwsExchangeParts
  ) {
    const plan = planBody(request, parts.scope)
    this.#isHeld = plan.kind === 'held'
    this.#fields = fieldsToSign(request.head.fields, this.#isHeld)
    this.#declared = bodyBytes(request)
    if (plan.kind === 'refused') this.#refuse(plan.status, plan.message)
    else if (plan.kind === 'streamed') this.#sign(plan.payload)
    else if (request.body === 'none') this.#signHeld()
    else this.#expectBody()
  }

  onData(piece: Buffer): void {
    if (this.#inner !== undefined) this.#inner.onData(piece)
    else if (this.#isOver) this.stream.consumed(piece.length)
    else if (this.#isHeld) this.#hold(piece)
    else this.#pieces.push(piece) // the window bounds them
  }

  onMessage(payload: Buffer): void {
    if (this.#inner !== undefined) this.#inner.onMessage(payload)
    else if (this.#isOver || this.#isHeld)
      this.stream.consumed(payload.length) // trailers have no place behind a length
    else this.#messages.push(payload)
  }

  onEnd(): void {
    this.#hasEnded = true
    if (this.#inner !== undefined) this.#inner.onEnd()
    else if (!this.#isOver && this.#isHeld && !this.#isSigning) this.#signHeld()
  }

  onReset(error: StreamResetError): void {
    this.#letGo()
    this.#inner?.onReset(error)
  }

  onDrain(): void {
    this.#inner?.onDrain()
  }

  #expectBody(): void {
    this.#limitSilence()
    if (fieldValues(this.request.head.fields, 'expect').length === 0) return
    // The service cannot be asked before the body is here.
    this.stream.message(formatInterim({ status: 100, reason: 'Continue', minor: 1, fields: NO_FIELDS }))
  }

  #hold(piece: Buffer): void {
    this.stream.consumed(piece.length)
    this.#bytes += piece.length
    if (this.#bytes > this.#declared) this.#giveUp('data behind the body of a request')
    else if (this.#bytes > MAX_HASHED_BYTES) {
      const { status, message } = tooLong(this.parts.scope)
      this.#refuse(status, message)
    } else if (!this.parts.held.take(piece.length)) {
      this.#refuse(503, 'too many bodies wait to be signed at once: ask again later')
    } else {
      this.#taken += piece.length
      this.#pieces.push(piece)
      this.#hash.update(piece)
      this.#limitSilence()
    }
  }

  #signHeld(): void {
    if (this.request.body === 'length' && this.#bytes < this.#declared) this.#giveUp('a body that ended early')
    else this.#sign(this.#hash.digest('hex'))
  }

  #sign(payload: string): void {
    this.#isSigning = true
    clearTimeout(this.#timer)
    const { request, target } = this
    const body = this.#isHeld ? this.#pieces : undefined
    this.parts
      .sign({ request, fields: this.#fields, target, payload, body }, () => this.#release())
      .then(begin => {
        if (!this.#isOver) this.#begun(begin())
      })
      .catch((error: unknown) => {
        if (!(error instanceof CredentialsError)) throw error
        this.#giveUp(`no answer from the service: ${error.message}`, RESET.refused)
      })
  }

  #begun(inner: StreamSink): void {
    this.#inner = inner
    if (!this.#isHeld) for (const piece of this.#pieces) inner.onData(piece)
    for (const message of this.#messages) inner.onMessage(message)
    this.#pieces = []
    this.#messages = []
    if (this.#hasEnded) inner.onEnd()
  }

  #refuse(status: number, message: string): void {
    this.#letGo()
    this.parts.refuse(status, message)
  }

  #giveUp(reason: string, code: ResetCode = RESET.broken): void {
    if (this.#isOver) return
    this.#letGo()
    this.stream.reset(code, reason)
  }

  #letGo(): void {
    this.#isOver = true
    this.#pieces = []
    this.#release()
  }

  #release(): void {
    clearTimeout(this.#timer)
    this.parts.held.release(this.#taken)
    this.#taken = 0
  }

  #limitSilence(): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#refuse(408, `nothing of the body came for ${this.parts.idleMs / 1_000} s`)
    }, this.parts.idleMs).unref()
  }
}
