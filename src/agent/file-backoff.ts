import { jittered } from '../values/time/backoff.js'

/** The longest wait after a file could not be received or shared. */
const RETRY_MS = 30_000

/** The wait before a file is tried again: shortened at random by up to half, so that 10,000 agents do not come back at once. */
export function fileRetryMs(): number {
  return jittered(RETRY_MS)
}
