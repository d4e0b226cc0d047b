import type { RunEvent } from '../values/runs/run-event.js'
import { LEASE_MS } from '../values/time/lease.js'
import { INTERRUPTED } from './active-run.js'
import type { LogFiles } from './event-log/log-files.js'
import { isNodeEnd, recordOf } from './event-log/node-end.js'
import type { RunEnd, RunRepository } from './run-repository.js'

const NODES_PER_PAGE = 1_000

export interface RecoveryOptions {
  readonly repository: RunRepository
  readonly files: LogFiles
  readonly now: () => number
}

/** The runs of a former process, and what can be done about each. */
export interface Unfinished {
  /** How many are over: nobody can be asked how they ended. */
  readonly interrupted: number
  /** Runs of nodes that run themselves, over their links: each may have ended meanwhile, or be at it. */
  readonly resumable: readonly string[]
}

/**
 * Ends the runs that a former process left under way, as their logs say, or as interrupted: the logs, then the records. The next start
 * makes up for a crash in between. Outcomes that the database lacks are taken from the end of the log. Runs that can
 * be taken up again stay as they are.
 */
export async function interruptUnfinished({ repository, files, now }: RecoveryOptions): Promise<Unfinished> {
  const resumable: string[] = []
  let interrupted = 0
  for (const id of await repository.claimAbandoned(LEASE_MS)) {
    const known = await files.mend(id)
    if ((await repository.note(id, known.filter(isNodeEnd).map(recordOf))) === 'lost') continue
    if (known.at(-1)?.event !== 'end' && (await isResumable(repository, id, now()))) {
      resumable.push(id)
      continue
    }
    const last = (await files.finish(id, 'interrupted')).at(-1)
    const state = last?.event === 'end' ? await stateAtEnd(repository, id, last) : 'interrupted'
    await repository.interrupt(id, { state, endedAtMs: now() }, INTERRUPTED)
    if (state === 'interrupted') interrupted += 1
  }
  return { interrupted, resumable }
}

/** The state of a run whose log has an end, which the record may lack: done only where each node has an outcome. */
async function stateAtEnd(repository: RunRepository, id: string, { outcome }: RunEvent): Promise<RunEnd['state']> {
  if (outcome === 'cancelled') return 'cancelled'
  if (outcome !== 'done') return 'interrupted'
  for (let after: string | undefined; ; ) {
    const nodes = await repository.nodes(id, NODES_PER_PAGE, after)
    if (nodes.some(node => node.outcome === 'queued' || node.outcome === 'running')) return 'interrupted'
    after = nodes.at(-1)?.node
    if (after === undefined) return 'done'
  }
}

/** Whether nodes are left that can be asked how it ended there, or that the run waits for. */
async function isResumable(repository: RunRepository, id: string, nowMs: number): Promise<boolean> {
  const waits = ((await repository.find(id))?.waitUntilMs ?? 0) > nowMs
  if (waits && (await repository.waitingNodes(id)).length > 0) return true
  return (await repository.openLinkedNodes(id)).length > 0
}
