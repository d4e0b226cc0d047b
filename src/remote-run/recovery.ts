import type { Commit } from '../storage/group-commit.js'
import type { RunStore } from '../storage/run-store.js'
import type { RunEvent } from '../values/runs/run-event.js'
import { INTERRUPTED } from './active-run.js'
import type { RunFiles } from './event-log/log-files.js'
import { brokenHopColumns, countNodes } from './progress/run-records.js'

export interface RecoveryOptions {
  readonly store: RunStore
  readonly commit: Commit
  readonly files: RunFiles
  readonly now: () => number
}

/** What can be done about the runs of a former process. */
export interface Unfinished {
  /** How many are over: nobody can be asked how they ended. */
  readonly interrupted: number
  /** Runs of nodes that run themselves, over their links: each may have ended meanwhile, or be at it. */
  readonly resumable: readonly string[]
}

/**
 * Ends what a former process left under way, as interrupted: the logs, then the records. A crash in between is made up
 * for by the next start. What the database had not yet been told of is taken from the end of the log. Runs that can be
 * taken up again stay as they are.
 */
export async function interruptUnfinished({ store, commit, files, now }: RecoveryOptions): Promise<Unfinished> {
  const resumable: string[] = []
  let interrupted = 0
  for (const id of store.unfinishedIds()) {
    const known = await files.mend(id)
    await commit(() => store.updateNodes(id, known.filter(isNodeEnd).map(toRow)))
    const waits = (store.find(id)?.waitUntilMs ?? 0) > now() && store.waitingNodes(id).length > 0
    if (known.at(-1)?.event !== 'end' && (waits || store.openLinkedNodes(id).length > 0)) {
      resumable.push(id)
      continue
    }
    const events = await files.finish(id, 'interrupted')
    interrupted += 1
    await commit(() => {
      store.settleOpenNodes(id, 'interrupted', INTERRUPTED)
      const last = events.at(-1)
      const state = last?.event === 'end' && last.outcome === 'cancelled' ? 'cancelled' : 'interrupted'
      store.endRun(id, state, now(), JSON.stringify(countNodes(store, id)))
    })
  }
  return { interrupted, resumable }
}

type NodeEnd = RunEvent & { readonly node: string; readonly outcome: NonNullable<RunEvent['outcome']> }

function isNodeEnd(event: RunEvent): event is NodeEnd {
  return (
    event.event === 'node' && event.node !== undefined && event.outcome !== undefined && event.outcome !== 'running'
  )
}

function toRow(event: NodeEnd) {
  const { node, outcome, exit_code, duration_ms, message, unreached } = event
  return {
    node,
    via: null,
    reached: null,
    outcome,
    exitCode: exit_code ?? null,
    startedAtMs: null,
    durationMs: duration_ms ?? null,
    message: message ?? null,
    ...brokenHopColumns(unreached)
  }
}
