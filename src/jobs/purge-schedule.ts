/** When a periodic job is to run: every so often, or at the times of a cron expression. */
export type Frequency = { readonly everyMs: number } | { readonly cron: string }

/**
 * Whether a job that last began at `lastStartMs` is due at `nowMs` (both ms since 1970). Cron expressions cannot say
 * `every 90 minutes`, so a tick a second asks this instead.
 */
export function isDue(lastStartMs: number, nowMs: number, everyMs: number): boolean {
  // A clock that was set back must not hold the purge up.
  return nowMs - lastStartMs >= everyMs || nowMs < lastStartMs
}
