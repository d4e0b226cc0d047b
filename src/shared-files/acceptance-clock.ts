/**
 * The time at which this relay accepts a file as the first one, which only goes forward: of two files with one name, taken
 * one after the other, the later one counts, even when the clock was set back in between.
 * @param now ms since 1970
 * @param newestMs of the files that are known already
 */
export function createAcceptanceClock(now: () => number, newestMs: number): () => number {
  let lastMs = newestMs
  return () => {
    lastMs = Math.max(now(), lastMs + 1)
    return lastMs
  }
}

/**
 * When a copy counts as accepted, beside the copies of it that are kept or wait here.
 * @param toldMs by the relay that accepted it first; undefined where that is this one
 * @param ownMs the time here: of the acceptance clock, where that is this one
 * @param knownMs of the copies that are here
 * @returns `toldMs` when it is in the past; else later than all that is here: a clock that is ahead, or was set back, must
 *   not block later copies
 */
export function acceptedAt(toldMs: number | undefined, ownMs: number, knownMs: readonly number[]): number {
  if (toldMs !== undefined && toldMs < ownMs) return toldMs
  return Math.max(ownMs, ...knownMs.map(ms => ms + 1))
}
