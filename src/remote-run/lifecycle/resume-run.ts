import type { CurrentTopology } from '../../tree/topology.js'
import { waitLeftMs } from '../../values/runs/run-wait-limit.js'
import { LEASE_MS } from '../../values/time/lease.js'
import { ActiveRun } from '../active-run.js'
import { EventLog } from '../event-log/event-log.js'
import type { LogFiles } from '../event-log/log-files.js'
import { LoggedEvents } from '../event-log/logged-events.js'
import { isNodeEnd } from '../event-log/node-end.js'
import { tellEnds } from '../event-log/tell-ends.js'
import { NodeTable } from '../progress/node-table.js'
import { append, type PlannedNode, type RunPlan } from '../progress/plan.js'
import { type RunObserver, RunProgress } from '../progress/run-progress.js'
import { nodePages } from '../records/run-node-pages.js'
import type { RunRecord } from '../records/run-record.js'
import type { RunContext } from '../run-context.js'

/**
 * Takes up a run of a former process: asks the nodes that run themselves how it ended there, and goes on with what
 * waits.
 * @returns undefined when there is no record of it, or another process has taken it over
 */
export async function resumeRun(
  context: RunContext,
  files: LogFiles,
  runId: string,
  { topology, observer }: { readonly topology: CurrentTopology; readonly observer?: RunObserver }
): Promise<ActiveRun | undefined> {
  const { repository, logger, timing, selfId } = context
  const record = await repository.find(runId)
  if (record === undefined || (await repository.renew([runId], LEASE_MS)).length > 0) return undefined
  const plan = await waitingPlan(context, record, topology)
  const linked = new Set(await repository.openLinkedNodes(runId))
  for (const { id } of plan.here) linked.delete(id)
  const table = new NodeTable({ runId, repository, logger, recordDelayMs: timing.recordDelayMs })
  for await (const page of nodePages(repository, runId)) await table.addRecords(page)
  const logged = new LoggedEvents(node => table.isOpen(node))
  const told = new Set<string>()
  const end = await files.summarize(runId, event => {
    logged.note(event)
    if (isNodeEnd(event)) told.add(event.node)
  })
  const log = await EventLog.reopen(files.path(runId), runId, logger, end)
  await tellEnds(log, table.records(), told)
  const { keepOutput, asynchronous, conditions, startedAtMs } = record
  logger.info({ runId, nodes: linked.size }, 'asking agents how a run of the former process ended')
  return new ActiveRun(context, {
    askedBy: record.askedBy,
    order: {
      runId,
      all: false, // what is left of it
      keepOutput,
      asynchronous,
      conditions,
      ...waitOf(record, context.now()),
      passed: [selfId],
      requestId: runId
    },
    waitUntilMs: record.waitUntilMs,
    plan,
    log,
    table,
    progress: new RunProgress(log, table, observer, logged),
    resumed: { startedAtMs, linked }
  })
}

/** The rest of the wait, for the relays below. */
function waitOf({ waitUntilMs, startedAtMs }: RunRecord, nowMs: number): { readonly waitSeconds?: number } {
  if (waitUntilMs === undefined) return {}
  return { waitSeconds: Math.ceil(waitLeftMs(waitUntilMs, nowMs, startedAtMs) / 1_000) }
}

/** The nodes of a run that waits for which nothing was started, or that a sub-relay may have at hand. */
async function waitingPlan(
  { repository, now }: RunContext,
  { id, waitUntilMs = 0 }: RunRecord,
  currentTopology: CurrentTopology
): Promise<RunPlan> {
  const here: PlannedNode[] = []
  const down = new Map<string, string[]>()
  if (waitUntilMs <= now()) return { here, down, unknown: [] }
  const topology = currentTopology()
  for (const { node, via } of await repository.waitingNodes(id)) {
    if (via === undefined) here.push({ id: node, hostname: topology.find(node)?.hostname ?? '' })
    else append(down, via, node)
  }
  return { here, down, unknown: [] }
}
