import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Commit } from '../storage/group-commit.js'
import type { RunStore } from '../storage/run-store.js'
import { firstRunId } from '../values/runs/run-id.js'
import type { RunFiles } from './event-log/log-files.js'

/** Rows removed in one transaction. */
const ROWS_PER_COMMIT = 1_000
const RUNS_PER_LOOK = 100
/** Runs whose ids are from the future are kept so much longer, for the once-only rule. */
const AHEAD_MS = 30 * 24 * 3_600_000

export interface PurgeOptions {
  readonly store: RunStore
  readonly commit: Commit
  readonly files: RunFiles
  /** Runs that ended before, in ms since 1970, go. */
  readonly endedBeforeMs: number
  readonly signal: AbortSignal
}

/**
 * Removes expired runs in small steps: the log, the nodes, and last the run, so that what a crash leaves is found again.
 * Logs without a record, which a crash can leave as well, go too.
 * @returns how many runs went
 */
export async function purgeRuns({ store, commit, files, endedBeforeMs, signal }: PurgeOptions): Promise<number> {
  let count = 0
  for (;;) {
    const ids = store.expiredIds(endedBeforeMs, firstRunId(endedBeforeMs), endedBeforeMs - AHEAD_MS, RUNS_PER_LOOK)
    for (const id of ids) {
      if (signal.aborted) return count
      await files.remove(id)
      await purgeRecord(store, commit, id)
      count += 1
    }
    if (ids.length < RUNS_PER_LOOK) break
  }
  for await (const id of files.unchangedSince(endedBeforeMs)) {
    if (signal.aborted) return count
    if (store.find(id) === undefined) await files.remove(id)
  }
  return count
}

async function purgeRecord(store: RunStore, commit: PurgeOptions['commit'], id: string): Promise<void> {
  let removed = ROWS_PER_COMMIT
  while (removed === ROWS_PER_COMMIT) {
    await commit(() => {
      removed = store.deleteNodes(id, ROWS_PER_COMMIT)
    })
    await nextTurn()
  }
  await commit(() => store.deleteRun(id))
}
