import type { Readable } from 'node:stream'
import { RelayError } from '../../values/failures/relay-error.js'

/** The limits for slow senders, `[limits]` of the configuration. */
export interface PaceLimits {
  /** The time from the first wait for the body until the metadata block is complete. */
  readonly metadataMs: number
  /** The rate is averaged over windows of this length. */
  readonly windowMs: number
  readonly minBytesPerSecond: number
}

export const PACE_LIMITS: PaceLimits = { metadataMs: 30_000, windowMs: 10_000, minBytesPerSecond: 1_024 }

/** The bytes above which the sender is held back until something was taken. */
const HIGH_WATER_BYTES = 128 * 1024

export interface BodyReaderOptions {
  readonly maxBytes: number
  /** The bytes that may come beyond that. @default 0 */
  readonly spareBytes?: number
  /** Each of them ends the reading: with its reason, if that is a `RelayError`. */
  readonly signals: readonly AbortSignal[]
  readonly pace: PaceLimits
}

/**
 * Pulls a request's body piece by piece. It never destroys the stream: the answer still has to go out on the same
 * connection, so after a failure the stream is left paused to its owner.
 */
export class BodyReader {
  readonly #queue: Buffer[] = []
  readonly #metadataTimer: NodeJS.Timeout
  #rateTimer: NodeJS.Timeout | undefined
  #queuedBytes = 0
  #receivedBytes = 0
  #windowBytes = 0
  #wasHeldBack = false
  #isEnded: boolean
  #failure: unknown
  #wake: (() => void) | undefined

  /** @param body not read by anyone else, now or later, until `close` */
  constructor(
    private readonly body: Readable,
    private readonly options: BodyReaderOptions
  ) {
    const { signals, pace } = options
    this.#isEnded = body.readableEnded
    this.#metadataTimer = setTimeout(
      () => this.#fail(tooSlow(`no whole metadata block within ${pace.metadataMs} ms`)),
      pace.metadataMs
    )
    body.on('data', this.#onData)
    body.on('end', this.#onEnd)
    body.on('error', this.#onGone)
    body.on('close', this.#onGone)
    if (signals.some(signal => signal.aborted)) this.#onAbort()
    else for (const signal of signals) signal.addEventListener('abort', this.#onAbort)
    if (body.destroyed) this.#onGone()
    body.resume()
  }

  /**
   * @returns the next bytes, undefined at the end
   * @throws {RelayError} what a signal says, CLIENT_GONE, CLIENT_TOO_SLOW, BODY_TOO_LARGE
   */
  async next(): Promise<Buffer | undefined> {
    while (this.#queue.length === 0 && this.#failure === undefined && !this.#isEnded) {
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
    if (this.#failure !== undefined) throw this.#failure
    const chunk = this.#queue.shift()
    if (chunk === undefined) return undefined
    this.#queuedBytes -= chunk.length
    if (this.#queue.length === 0 && this.body.isPaused()) this.body.resume()
    return chunk
  }

  /** The metadata is complete: from now on the rate counts. */
  expectPace(): void {
    clearTimeout(this.#metadataTimer)
    this.#windowBytes = 0
    if (!this.#isEnded) this.#rateTimer ??= setInterval(() => this.#checkRate(), this.options.pace.windowMs)
  }

  /** Lets go of the stream and all timers. */
  close(): void {
    clearTimeout(this.#metadataTimer)
    clearInterval(this.#rateTimer)
    for (const signal of this.options.signals) signal.removeEventListener('abort', this.#onAbort)
    this.body.off('data', this.#onData)
    this.body.off('end', this.#onEnd)
    this.body.off('close', this.#onGone)
    this.body.pause() // its `error` listener stays: nobody else may be there to hear of a reset
  }

  readonly #onData = (chunk: Buffer): void => {
    const { maxBytes, spareBytes = 0 } = this.options
    this.#receivedBytes += chunk.length
    this.#windowBytes += chunk.length
    if (this.#receivedBytes > maxBytes + spareBytes) {
      this.#fail(bodyTooLarge(maxBytes))
      return
    }
    this.#queue.push(chunk)
    this.#queuedBytes += chunk.length
    if (this.#queuedBytes > HIGH_WATER_BYTES) {
      this.#wasHeldBack = true
      this.body.pause()
    }
    this.#notify()
  }

  readonly #onEnd = (): void => {
    this.#isEnded = true
    this.#notify()
  }

  readonly #onGone = (): void => {
    if (!this.#isEnded) this.#fail(clientGone())
  }

  readonly #onAbort = (): void => {
    const reason: unknown = this.options.signals.find(signal => signal.aborted)?.reason
    this.#fail(reason instanceof RelayError ? reason : clientGone())
  }

  #checkRate(): void {
    const { minBytesPerSecond, windowMs } = this.options.pace
    if (!this.#wasHeldBack && this.#windowBytes * 1_000 < minBytesPerSecond * windowMs) {
      this.#fail(tooSlow(`${this.#windowBytes} bytes came within ${windowMs} ms`))
    }
    this.#windowBytes = 0
    this.#wasHeldBack = this.body.isPaused()
  }

  #fail(error: unknown): void {
    this.#failure ??= error
    this.body.pause()
    this.#notify()
  }

  #notify(): void {
    this.#wake?.()
    this.#wake = undefined
  }
}

export function bodyTooLarge(maxBytes: number): RelayError {
  return new RelayError(
    'BODY_TOO_LARGE',
    `the body has more than ${maxBytes} bytes, which is shared_files.max_body_size`
  )
}

function tooSlow(what: string): RelayError {
  return new RelayError('CLIENT_TOO_SLOW', `the body comes too slowly: ${what}`)
}

function clientGone(): RelayError {
  return new RelayError('CLIENT_GONE', 'the sender went away before the body was complete')
}
