import { errorMessage } from '../../values/failures/system-error.js'
import type { Logger } from '../../values/logging/logger.js'
import type { RunEvent } from '../../values/runs/run-event.js'
import { LEASE_MS } from '../../values/time/lease.js'
import { INTERRUPTED } from '../active-run.js'
import { EventLog } from '../event-log/event-log.js'
import type { LogFiles, LogTail } from '../event-log/log-files.js'
import { hasEnded, isNodeEnd, recordOf } from '../event-log/node-end.js'
import { tellEnds } from '../event-log/tell-ends.js'
import { nodePages } from '../records/run-node-pages.js'
import type { RunEnd, RunRepository } from '../records/run-repository.js'

export interface RecoveryOptions {
  readonly repository: RunRepository
  readonly files: LogFiles
  readonly logger: Logger
  readonly now: () => number
  /** Takes the ids of the runs claimed, for as long as they are neither ended nor taken up. */
  readonly claimed: Set<string>
}

/**
 * Ends the runs that a former process left under way, as their logs say, or as interrupted: the logs, then the records. The next start
 * makes up for a crash in between. Outcomes that the database lacks are taken from the log. Runs that can
 * be taken up again stay as they are.
 * @returns the ids of those: their nodes run themselves, over their links, and each may have ended meanwhile, or be at it
 */
export async function interruptUnfinished(options: RecoveryOptions): Promise<readonly string[]> {
  const { repository, logger, claimed } = options
  const resumable: string[] = []
  let interrupted = 0
  const ids = await repository.claimAbandoned(LEASE_MS)
  for (const id of ids) claimed.add(id)
  for (const id of ids) {
    const outcome = await interruptOne(options, id).catch(async (error: unknown) => {
      await replaceUnusableLog(options, id, error)
      return interruptOne(options, id)
    })
    if (outcome === 'resumable') resumable.push(id)
    else claimed.delete(id)
    if (outcome === 'interrupted') interrupted += 1
  }
  if (interrupted > 0) {
    logger.warn({ count: interrupted }, 'remote runs were interrupted by the end of the former process')
  }
  return resumable
}

async function interruptOne(
  { repository, files, logger, now }: RecoveryOptions,
  id: string
): Promise<'lost' | 'resumable' | RunEnd['state']> {
  const tail = await files.mend(id)
  if ((await noteEnds(repository, files, id, tail)) === 'lost') return 'lost'
  const last = tail.events.at(-1)
  const end = last?.event === 'end' ? last : undefined
  if (end === undefined && (await isResumable(repository, id, now()))) return 'resumable'
  if (end === undefined) await tellInterrupted(repository, files, id, logger)
  const state = end === undefined ? 'interrupted' : await stateAtEnd(repository, id, end)
  const endedAtMs = (await loggedEndMs(repository, id, end)) ?? now()
  await repository.interrupt(id, { state, endedAtMs }, INTERRUPTED)
  return state
}

/** Moves a log out of the way that cannot be used: one bad file keeps no relay from starting. @throws what else went wrong */
async function replaceUnusableLog({ files, logger }: RecoveryOptions, id: string, error: unknown): Promise<void> {
  const aside = await files.putAside(id, error)
  if (aside === undefined) throw error
  const details = { runId: id, aside, reason: errorMessage(error) }
  logger.warn(details, 'log of an unfinished run cannot be used; it is moved aside, and the output of the run is lost')
}

/**
 * Brings the log of an interrupted run to its end: with the ends of nodes that it lacks, and those of the nodes that were
 * not over.
 */
async function tellInterrupted(repository: RunRepository, files: LogFiles, id: string, logger: Logger): Promise<void> {
  const told = new Set<string>()
  const end = await files.summarize(id, event => {
    if (isNodeEnd(event)) told.add(event.node)
  })
  const log = await EventLog.reopen(files.path(id), id, logger, end)
  for await (const nodes of nodePages(repository, id)) {
    const ends = nodes.map(node =>
      hasEnded(node) ? node : ({ ...node, outcome: 'interrupted', message: INTERRUPTED } as const)
    )
    await tellEnds(log, ends, told)
  }
  log.append({ event: 'end', outcome: 'interrupted' })
  await log.close()
}

/** The state of a run whose log has an end, which the record may lack: done only where each node has an outcome. */
async function stateAtEnd(repository: RunRepository, id: string, { outcome }: RunEvent): Promise<RunEnd['state']> {
  if (outcome === 'cancelled') return 'cancelled'
  if (outcome !== 'done') return 'interrupted'
  return (await hasOpenNodes(repository, id)) ? 'interrupted' : 'done'
}

/** The time at which a run ended, where its log has the end; in ms since 1970. */
async function loggedEndMs(
  repository: RunRepository,
  id: string,
  end: RunEvent | undefined
): Promise<number | undefined> {
  if (end?.duration_ms === undefined) return undefined
  const record = await repository.find(id)
  return record && record.startedAtMs + end.duration_ms
}

/** Records the ends of nodes that the log tells. The whole of a long log is read only where nodes are open without it. */
async function noteEnds(
  repository: RunRepository,
  files: LogFiles,
  id: string,
  { events, isWhole }: LogTail
): Promise<'done' | 'lost'> {
  const noted = await repository.note(id, events.filter(isNodeEnd).map(recordOf))
  if (noted === 'lost' || isWhole || !(await hasOpenNodes(repository, id))) return noted
  for await (const ends of files.nodeEnds(id)) {
    if ((await repository.note(id, ends.map(recordOf))) === 'lost') return 'lost'
  }
  return 'done'
}

async function hasOpenNodes(repository: RunRepository, id: string): Promise<boolean> {
  for await (const nodes of nodePages(repository, id)) if (!nodes.every(hasEnded)) return true
  return false
}

/** Whether nodes are left that can be asked how it ended there, or that the run waits for. */
async function isResumable(repository: RunRepository, id: string, nowMs: number): Promise<boolean> {
  const waits = ((await repository.find(id))?.waitUntilMs ?? 0) > nowMs
  if (waits && (await repository.waitingNodes(id)).length > 0) return true
  return (await repository.openLinkedNodes(id)).length > 0
}
