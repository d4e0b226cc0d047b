import type { Hop } from '../../hops/hop.js'
import { FORM } from '../../network/header-names.js'
import { refusalText } from './response-lines.js'

/** How long a sub-relay may take to confirm that a run was cancelled. */
const CANCEL_LIMIT_MS = 5_000

/** Tells the run's own end to a relay that can be told; one that only speaks text sees the connection close. */
export async function cancelDownstream(hop: Hop, runId: string): Promise<void> {
  if (!hop.dialect.recognizesRunIds) return
  const signal = AbortSignal.timeout(CANCEL_LIMIT_MS)
  try {
    const answer = await hop.request({
      method: 'POST',
      path: `runs/${runId}/cancel`,
      headers: { 'content-type': FORM },
      body: () => Buffer.alloc(0),
      signal,
      silenceLimitMs: CANCEL_LIMIT_MS
    })
    if (answer.kind !== 'unreachable') await refusalText(answer.body, signal)
  } catch {
    // it could not be told in time; its own stream is broken, which ends a synchronous run
  }
}
