import { JoinRateLimit } from './join-rate-limit.js'

/**
 * The number of joins of one member within a minute that were answered before, and of its renewals that are not due. An
 * answer that is lost is asked for a few times; each one costs the root a signature to verify, and reads its records.
 */
const MAX_REPEATS_PER_MINUTE = 60
const MINUTE_MS = 60_000

/** Makes the limit for repeats, by member. @param uptime in ms, of a clock that only goes forward */
export function makeRepeatLimit(uptime?: () => number): JoinRateLimit {
  const refusal = (seconds: number) =>
    `answered ${MAX_REPEATS_PER_MINUTE} times already; wait ${seconds} s, and find out why the answer is asked for again`
  return new JoinRateLimit(MAX_REPEATS_PER_MINUTE, MINUTE_MS, uptime, refusal)
}
