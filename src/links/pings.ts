import type { Http2Session } from 'node:http2'

/**
 * Asks the other side for a sign of life every `everyMs`, the first time at a random moment, so that thousands of links
 * do not all ask at once. Whoever gives none within `everyMs` is dead.
 * @returns a function that ends it
 */
export function watchPings(
  session: Http2Session,
  everyMs: number,
  told: { onAnswer(rttMs: number): void; onDead(): void }
): () => void {
  let isWaiting = false
  let timer = setTimeout(ping, Math.random() * everyMs).unref()
  function ping(): void {
    if (session.destroyed) return
    if (isWaiting) {
      told.onDead()
      return
    }
    isWaiting = true
    timer = setTimeout(ping, everyMs).unref()
    session.ping((error, rttMs) => {
      if (error !== null) return
      isWaiting = false
      told.onAnswer(rttMs)
    })
  }
  return () => clearTimeout(timer)
}
