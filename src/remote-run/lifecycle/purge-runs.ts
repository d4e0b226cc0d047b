import { firstRunId } from '../../values/runs/run-id.js'
import type { LogFiles } from '../event-log/log-files.js'
import { ONCE_ONLY_MS } from '../records/run-age.js'
import type { RunRepository } from '../records/run-repository.js'

const RUNS_PER_LOOK = 100
const ORDERS_PER_STEP = 500
/** Runs whose ids are from the future are kept so much longer, for the once-only rule. */
const AHEAD_MS = 30 * 24 * 3_600_000
/** How far the clock of the relay above may be ahead of ours, in ms. */
const CLOCK_SKEW_MS = 60 * 60_000

export interface PurgeOptions {
  readonly repository: RunRepository
  readonly files: LogFiles
  /** In ms since 1970. */
  readonly nowMs: number
  /** How long the records of ended runs are kept, in ms. */
  readonly retentionMs: number
  readonly signal: AbortSignal
}

/**
 * Removes expired runs: the log first and the record last, so that what a crash leaves is found again. Logs without a
 * record, which a crash can leave as well, go too.
 * @returns how many runs went
 */
export async function purgeRuns({ repository, files, signal, ...times }: PurgeOptions): Promise<number> {
  const endedBeforeMs = times.nowMs - times.retentionMs - CLOCK_SKEW_MS
  const orderedBeforeMs = times.nowMs - ONCE_ONLY_MS - CLOCK_SKEW_MS
  const retention = {
    endedBeforeMs,
    idBefore: firstRunId(endedBeforeMs),
    anywayBeforeMs: endedBeforeMs - AHEAD_MS
  }
  let count = 0
  for (;;) {
    const ids = await repository.expired(retention, RUNS_PER_LOOK)
    for (const id of ids) {
      if (signal.aborted) return count
      await files.remove(id)
      await repository.remove(id)
      count += 1
    }
    if (ids.length < RUNS_PER_LOOK) break
  }
  for (let forgotten = ORDERS_PER_STEP; forgotten === ORDERS_PER_STEP && !signal.aborted; ) {
    forgotten = await repository.forgetOrders({ orderedBeforeMs }, ORDERS_PER_STEP)
  }
  for await (const id of files.unchangedSince(endedBeforeMs)) {
    if (signal.aborted) return count
    if ((await repository.find(id)) === undefined) await files.remove(id)
  }
  return count
}
