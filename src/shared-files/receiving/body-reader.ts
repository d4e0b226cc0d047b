import type { Readable } from 'node:stream'
import { RelayError } from '../../values/failures/relay-error.js'

/** How slow a sender may be, `[limits]` of the configuration. */
export interface PaceLimits {
  /** From the first wait for the body until the metadata block is complete. */
  readonly metadataMs: number
  /** The rate is averaged over windows of this length. */
  readonly windowMs: number
  readonly minBytesPerSecond: number
}

export const PACE_LIMITS: PaceLimits = { metadataMs: 30_000, windowMs: 10_000, minBytesPerSecond: 1_024 }

/** Above this the sender is held back until something was taken. */
const HIGH_WATER_BYTES = 128 * 1024

/**
 * Pulls a request's body piece by piece. It never destroys the stream: the answer still has to go out on the same
 * connection, so after a failure the stream is left paused to its owner.
 */
export interface BodyReader {
  /**
   * @returns the next bytes, undefined at the end
   * @throws {RelayError} what a signal says, CLIENT_GONE, CLIENT_TOO_SLOW, BODY_TOO_LARGE
   */
  next(): Promise<Buffer | undefined>
  /** The metadata is complete: from now on the rate counts. */
  expectPace(): void
  /** Lets go of the stream and all timers. */
  close(): void
}

export interface BodyReaderOptions {
  readonly maxBytes: number
  /** What may come beyond that. @default 0 */
  readonly spareBytes?: number
  /** Each of them ends the reading: with its reason, if that is a `RelayError`. */
  readonly signals: readonly AbortSignal[]
  readonly pace: PaceLimits
}

/** @param body not read by anyone else, now or later, until `close` */
export function createBodyReader(body: Readable, options: BodyReaderOptions): BodyReader {
  const { maxBytes, spareBytes = 0, signals, pace } = options
  const queue: Buffer[] = []
  let queuedBytes = 0
  let receivedBytes = 0
  let isEnded = body.readableEnded
  let failure: unknown
  let wake: (() => void) | undefined
  let windowBytes = 0
  let wasHeldBack = false
  let rateTimer: NodeJS.Timeout | undefined
  const metadataTimer = setTimeout(
    () => fail(tooSlow(`no whole metadata block within ${pace.metadataMs} ms`)),
    pace.metadataMs
  )

  function fail(error: unknown): void {
    failure ??= error
    body.pause()
    notify()
  }
  function notify(): void {
    wake?.()
    wake = undefined
  }
  function onData(chunk: Buffer): void {
    receivedBytes += chunk.length
    windowBytes += chunk.length
    if (receivedBytes > maxBytes + spareBytes) {
      fail(bodyTooLarge(maxBytes))
      return
    }
    queue.push(chunk)
    queuedBytes += chunk.length
    if (queuedBytes > HIGH_WATER_BYTES) {
      wasHeldBack = true
      body.pause()
    }
    notify()
  }
  function onEnd(): void {
    isEnded = true
    notify()
  }
  function onGone(): void {
    if (!isEnded) fail(clientGone())
  }
  function onAbort(): void {
    const reason: unknown = signals.find(signal => signal.aborted)?.reason
    fail(reason instanceof RelayError ? reason : clientGone())
  }
  function checkRate(): void {
    if (!wasHeldBack && windowBytes * 1_000 < pace.minBytesPerSecond * pace.windowMs) {
      fail(tooSlow(`${windowBytes} bytes came within ${pace.windowMs} ms`))
    }
    windowBytes = 0
    wasHeldBack = body.isPaused()
  }

  body.on('data', onData)
  body.on('end', onEnd)
  body.on('error', onGone)
  body.on('close', onGone)
  if (signals.some(signal => signal.aborted)) onAbort()
  else for (const signal of signals) signal.addEventListener('abort', onAbort)
  if (body.destroyed) onGone()
  body.resume()

  return {
    async next() {
      while (queue.length === 0 && failure === undefined && !isEnded) {
        await new Promise<void>(resolve => {
          wake = resolve
        })
      }
      if (failure !== undefined) throw failure
      const chunk = queue.shift()
      if (chunk === undefined) return undefined
      queuedBytes -= chunk.length
      if (queue.length === 0 && body.isPaused()) body.resume()
      return chunk
    },
    expectPace() {
      clearTimeout(metadataTimer)
      windowBytes = 0
      if (!isEnded) rateTimer ??= setInterval(checkRate, pace.windowMs)
    },
    close() {
      clearTimeout(metadataTimer)
      clearInterval(rateTimer)
      for (const signal of signals) signal.removeEventListener('abort', onAbort)
      body.off('data', onData)
      body.off('end', onEnd)
      body.off('close', onGone)
      body.pause() // its `error` listener stays: nobody else may be there to hear of a reset
    }
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
