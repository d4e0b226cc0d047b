import { RelayError } from '../../values/failures/relay-error.js'
import { runIdTimeMs } from '../../values/runs/run-id.js'

/** How long a run id may not be used again, and may be old, in ms (design, "Once only"). */
export const ONCE_ONLY_MS = 7 * 24 * 60 * 60_000

/** An id older than what is remembered could be one that was carried out already. @throws {RelayError} CONFLICT */
export function checkAge(id: string, nowMs: number, retentionMs: number): void {
  const ageMs = nowMs - runIdTimeMs(id)
  const limitMs = Math.min(ONCE_ONLY_MS, retentionMs)
  if (ageMs > limitMs) {
    throw new RelayError(
      'CONFLICT',
      `run ${id} is older than ${limitMs / 86_400_000} days by the clock of this machine: check the clocks, or order it under a new id`
    )
  }
}
