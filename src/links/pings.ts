import type { Http2Session } from 'node:http2'

/** Looks between two questions of a side that has no need to ask: a few minutes. */
const ROUND_TRIP_EVERY = 20

export interface PingOptions {
  /** A side that heard nothing for so long asks, and takes the other for dead when nothing came in as long again. */
  readonly everyMs: number
  /** Bytes received so far: whatever comes is a sign of life. */
  readonly receivedBytes: () => number
  /**
   * The lower side asks each time, so that the upper one hears of it; that one asks now and then, to know the round trip.
   */
  readonly asksAlways: boolean
}

/**
 * Watches over the other side of a link. Begins at a random moment, so that thousands of links do not all ask at once.
 * @returns a function that ends it
 */
export function watchPings(
  session: Http2Session,
  { everyMs, receivedBytes, asksAlways }: PingOptions,
  told: { onAnswer(rttMs: number): void; onDead(): void }
): () => void {
  let seenBytes = -1
  let isWaiting = false
  let looks = 0
  let timer = setTimeout(look, Math.random() * everyMs).unref()
  function look(): void {
    if (session.destroyed) return
    const bytes = receivedBytes()
    const isSilent = bytes === seenBytes
    if (isSilent && isWaiting) {
      told.onDead()
      return
    }
    timer = setTimeout(look, everyMs).unref()
    isWaiting = isSilent || asksAlways || looks % ROUND_TRIP_EVERY === 0
    looks += 1
    seenBytes = bytes
    if (isWaiting) {
      session.ping((error, rttMs) => {
        if (error === null) told.onAnswer(rttMs)
      })
    }
  }
  return () => clearTimeout(timer)
}
