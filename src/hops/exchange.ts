import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { countInformational } from '../network/informational-answers.js'
import { neighbourPieces, type PieceBudget } from '../network/sources/piece-budget.js'

/** How much of an answer waits in memory for a slow reader. */
const BUFFERED_BYTES = 64 * 1024

const budgets = new WeakMap<object, PieceBudget>()

/** Finds the budget for short pieces of answers, of all connections of a pool together. */
export function piecesOf(pool: object): PieceBudget {
  const known = budgets.get(pool)
  if (known !== undefined) return known
  const budget = neighbourPieces()
  budgets.set(pool, budget)
  return budget
}

/** An answer's beginning; the body ends with an error when the connection breaks. */
export interface AnswerStart {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Readable
}

/**
 * A request and its answer on one connection: undici's handler, as a promise of the answer's beginning. Unlike
 * undici's own `request`, it knows whether anything was sent, and a request that still waits for a connection ends at
 * once when it is aborted.
 */
export class Exchange implements Dispatcher.DispatchHandler {
  readonly answer: Promise<AnswerStart>
  readonly #requestBody: Readable | undefined
  readonly #pieces: PieceBudget | undefined
  /** While the answer is not read, since too much of it came in short pieces. */
  #rest: NodeJS.Timeout | undefined
  #resolve: (answer: AnswerStart) => void = () => undefined
  #reject: (error: unknown) => void = () => undefined
  #controller: Dispatcher.DispatchController | undefined
  #abortReason: Error | undefined
  #answerBody: Readable | undefined
  readonly #countInformational = countInformational()
  #started = false
  #ended = false

  /**
   * @param requestBody destroyed when the exchange ends before it was sent entirely
   * @param pieces the budget of the other side for short pieces of answers
   */
  constructor(requestBody: Readable | undefined, pieces?: PieceBudget) {
    this.#requestBody = requestBody
    this.#pieces = pieces
    // undici destroys it with whatever ended the exchange, which the answer reports already.
    requestBody?.on('error', () => undefined)
    this.answer = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  /** Whether writing to a connection has begun. */
  get started(): boolean {
    return this.#started
  }

  /** Whether the answer has come to its end, one way or the other. */
  get ended(): boolean {
    return this.#ended
  }

  /** Ends it, wherever it is: the answer rejects, or its body ends with `reason`. */
  abort(reason: Error): void {
    if (this.#ended) return
    this.#abortReason = reason
    this.#controller?.abort(reason)
    this.#fail(reason)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#abortReason !== undefined) {
      controller.abort(this.#abortReason)
      return
    }
    this.#started = true
    this.#controller = controller
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: AnswerStart['headers']): void {
    if (status < 200) {
      const tooMany = this.#countInformational(status)
      if (tooMany !== undefined) this.abort(tooMany)
      return
    }
    const body = new Readable({
      highWaterMark: BUFFERED_BYTES,
      read: () => {
        if (this.#rest === undefined) controller.resume()
      },
      destroy: (error, done) => {
        if (!this.#ended) this.abort(error ?? new Error('the answer was not read to its end'))
        done(error)
      }
    })
    this.#answerBody = body
    this.#resolve({ status, headers, body })
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#answerBody?.push(chunk) === false) controller.pause()
    if (this.#pieces?.take(chunk.length) === false) this.#restFrom(controller, this.#pieces.restMs)
  }

  #restFrom(controller: Dispatcher.DispatchController, ms: number): void {
    if (this.#rest !== undefined || this.#ended || ms === 0) return
    controller.pause()
    this.#rest = setTimeout(() => {
      this.#rest = undefined
      const body = this.#answerBody
      if (body !== undefined && !this.#ended && body.readableLength < body.readableHighWaterMark) controller.resume()
    }, ms)
  }

  onResponseEnd(): void {
    this.#ended = true
    clearTimeout(this.#rest)
    this.#answerBody?.push(null)
    this.#dropRequestBody()
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#fail(error)
  }

  #fail(error: Error): void {
    if (this.#ended) return
    this.#ended = true
    clearTimeout(this.#rest)
    this.#dropRequestBody()
    this.#answerBody?.destroy(error)
    this.#reject(error)
  }

  #dropRequestBody(): void {
    if (this.#requestBody?.readableEnded === false) this.#requestBody.destroy()
  }
}
