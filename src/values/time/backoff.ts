/** The first wait between two attempts, and the longest. */
export interface Backoff {
  readonly firstMs: number
  readonly maxMs: number
}

/**
 * The wait after so many failures in a row, in ms: doubles from the first wait to the longest, and is jittered.
 * @param failures 1 or more
 */
export function backoffMs(failures: number, { firstMs, maxMs }: Backoff, random: () => number = Math.random): number {
  return Math.round(jittered(Math.min(maxMs, firstMs * 2 ** Math.min(failures - 1, 32)), random))
}

/**
 * A wait at random, from none to `ms`, so that callers that began at the same moment do not ask at the same moment.
 * @param random from 0 up to 1
 */
export function anyWaitUpTo(ms: number, random: () => number = Math.random): number {
  return ms * random()
}

/**
 * Shortens a wait at random, to between half of `ms` and all of it, so that callers that failed at the same moment do
 * not come back at the same moment.
 * @param random from 0 up to 1
 */
export function jittered(ms: number, random: () => number = Math.random): number {
  return ms * (0.5 + random() / 2)
}
