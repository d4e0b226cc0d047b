import { backoffMs } from '../../values/time/backoff.js'

/** The waits before a hop that could not be reached, or a file that it did not take, is tried again. */
export const FORWARDING_BACKOFF = { firstMs: 1_000, maxMs: 60_000 } as const

/** The time of the next try for a hop that works. */
const IS_WELL = 0

/** The time after a failure in which a hop is not asked on anyone's behalf: it would only make them wait. */
const FRESH_FAILURE_MS = 1_000

/**
 * The health of hops, as far as requests to them have shown it. Kept in memory: after a restart every hop is worth a
 * try.
 */
export interface HopBackoff {
  /** @returns whether it had been failing */
  succeeded(hop: string): boolean
  /**
   * Makes the wait longer, unless one is still under way.
   * @returns how long until it is worth another try, ms
   */
  failed(hop: string): number
  /** Whether it is to be tried with one request before others follow. */
  isDoubtful(hop: string): boolean
  /** How long until it is worth a try, ms: 0 while nothing is wrong with it. */
  waitMs(hop: string): number
  /** Whether it could not be reached a moment ago. */
  hasJustFailed(hop: string): boolean
  /** Makes a try worth it now, since something has changed for the better. */
  revive(hop: string): void
  /** Every hop is worth a try now. */
  reset(): void
}

/** @param now ms of a clock that only goes forward */
export function createHopBackoff(now: () => number, random: () => number): HopBackoff {
  const failing = new Map<string, { failures: number; failedAtMs: number; nextTryAtMs: number }>()
  return {
    succeeded: hop => failing.delete(hop),
    failed(hop) {
      const before = failing.get(hop)
      const failedAtMs = now()
      if (before !== undefined && failedAtMs < before.nextTryAtMs) {
        // Tried for a caller's sake. If that counted, a busy minute would make the wait far longer than the outage.
        before.failedAtMs = failedAtMs
        return Math.ceil(before.nextTryAtMs - failedAtMs)
      }
      const failures = (before?.failures ?? 0) + 1
      const nextTryAtMs = failedAtMs + backoffMs(failures, FORWARDING_BACKOFF, random)
      failing.set(hop, { failures, failedAtMs, nextTryAtMs })
      return Math.ceil(nextTryAtMs - failedAtMs)
    },
    isDoubtful: hop => (failing.get(hop)?.nextTryAtMs ?? IS_WELL) !== IS_WELL,
    waitMs: hop => Math.max(0, Math.ceil((failing.get(hop)?.nextTryAtMs ?? 0) - now())),
    hasJustFailed(hop) {
      const state = failing.get(hop)
      return state !== undefined && now() - state.failedAtMs < FRESH_FAILURE_MS
    },
    revive(hop) {
      // With the mark of one that failed: what was put off because of that is tried as well.
      failing.set(hop, { failures: 0, failedAtMs: Number.NEGATIVE_INFINITY, nextTryAtMs: Number.NEGATIVE_INFINITY })
    },
    reset: () => {
      for (const state of failing.values()) state.nextTryAtMs = IS_WELL
    }
  }
}
