import type { Dialect } from '../../hops/dialect.js'
import type { HopOutcome } from '../../hops/hop.js'

/** Why nothing was started: the hop could not be asked, takes nothing now, or does not do it. */
export type NotTaken = 'away' | 'busy' | 'refused'

/** The reason why the hop did not take the order, for a user. */
export const WHY_NOT_TAKEN: Readonly<Record<NotTaken, string>> = {
  away: 'it holds no link',
  busy: 'it takes no runs now',
  refused: 'it does not run itself'
}

/**
 * The statuses of a problem that may be over soon: the hop stops, is overloaded, or has no tree; or so its web
 * server.
 */
const PASSING = new Set([408, 429, 502, 503, 504])

/** Whether the same order can be given once more, later: nothing of it was sent, or the hop takes a run id once only. */
export function canRetryOrder(
  { sent, status }: Extract<HopOutcome, { kind: 'unreachable' }>,
  { recognizesRunIds }: Dialect
): boolean {
  return !sent || (recognizesRunIds && (status === undefined || PASSING.has(status)))
}
