import type { RunStore } from '../storage/run-store.js'
import type { RunEvent } from '../values/run-event.js'
import type { RunFiles } from './run-files.js'
import { countNodes } from './run-records.js'

export interface RecoveryOptions {
  readonly store: RunStore
  readonly commit: (work: () => void) => Promise<void>
  readonly files: RunFiles
  readonly now: () => number
}

const INTERRUPTED = 'the relay ended while this was under way'

/**
 * Ends what a former process left under way, as interrupted: the logs, then the records. A crash in between is made up
 * for by the next start. What the database had not yet been told of is taken from the end of the log.
 * @returns how many runs were interrupted
 */
export async function interruptUnfinished({ store, commit, files, now }: RecoveryOptions): Promise<number> {
  const ids = store.unfinishedIds()
  for (const id of ids) {
    const events = await files.finish(id, 'interrupted')
    const ended = events.filter(isNodeEnd)
    await commit(() => {
      store.updateNodes(id, ended.map(toRow))
      store.settleOpenNodes(id, 'interrupted', INTERRUPTED)
      const last = events.at(-1)
      const state = last?.event === 'end' && last.outcome === 'cancelled' ? 'cancelled' : 'interrupted'
      store.endRun(id, state, now(), JSON.stringify(countNodes(store, id)))
    })
  }
  return ids.length
}

type NodeEnd = RunEvent & { readonly node: string; readonly outcome: NonNullable<RunEvent['outcome']> }

function isNodeEnd(event: RunEvent): event is NodeEnd {
  return (
    event.event === 'node' && event.node !== undefined && event.outcome !== undefined && event.outcome !== 'running'
  )
}

function toRow(event: NodeEnd) {
  const { node, outcome, exit_code, duration_ms, message } = event
  return {
    node,
    via: null,
    outcome,
    exitCode: exit_code ?? null,
    startedAtMs: null,
    durationMs: duration_ms ?? null,
    message: message ?? null
  }
}
