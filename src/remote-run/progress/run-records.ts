import type { RunNodeRow, RunRow, RunStore } from '../../storage/run-store.js'
import { type CountedOutcome, countedOutcome, NODE_OUTCOMES } from '../../values/runs/run-event.js'
import type { BrokenHop, NodeRecord, Reached, RunOrder, RunRecord, RunState } from '../types.js'

const REACHED: readonly Reached[] = ['link', 'command']
const STATES: readonly RunState[] = ['running', 'done', 'cancelled', 'interrupted']

export function toRunRecord(row: RunRow): RunRecord {
  return {
    id: row.id,
    state: STATES.find(state => state === row.state) ?? 'interrupted',
    askedBy: row.askedBy,
    nodes: row.nodes === 'all' ? 'all' : 'list',
    conditions: row.conditions === '' ? [] : row.conditions.split(','),
    keepOutput: row.keepOutput,
    asynchronous: row.asynchronous,
    startedAtMs: row.startedAtMs,
    endedAtMs: row.endedAtMs ?? undefined,
    waitUntilMs: row.waitUntilMs ?? undefined,
    counts: row.counts === null ? {} : (JSON.parse(row.counts) as RunRecord['counts'])
  }
}

export function toNodeRecord(row: RunNodeRow): NodeRecord {
  return {
    node: row.node,
    via: row.via ?? undefined,
    reached: REACHED.find(way => way === row.reached),
    outcome: NODE_OUTCOMES.find(outcome => outcome === row.outcome) ?? 'unknown',
    exitCode: row.exitCode ?? undefined,
    startedAtMs: row.startedAtMs ?? undefined,
    durationMs: row.durationMs ?? undefined,
    message: row.message ?? undefined,
    unreached: brokenHop(row)
  }
}

function brokenHop({ unreachedFrom: from, unreachedTo: to, unreachedReason: reason }: RunNodeRow) {
  return from === null || to === null || reason === null ? undefined : { from, to, reason }
}

/** The columns for where the way to a node ended. */
export function brokenHopColumns(hop: BrokenHop | undefined) {
  return {
    unreachedFrom: hop?.from ?? null,
    unreachedTo: hop?.to ?? null,
    unreachedReason: hop?.reason ?? null
  }
}

/** The row of a run that is about to start. */
export function newRunRow(id: string, order: RunOrder, startedAtMs: number): RunRow {
  const { caller } = order.origin
  return {
    id,
    state: 'running',
    askedBy: caller.id === undefined ? `${caller.kind} ${caller.address}` : `${caller.kind} ${caller.id}`,
    nodes: order.nodes === 'all' ? 'all' : 'list',
    conditions: order.conditions.join(','),
    keepOutput: order.keepOutput,
    asynchronous: order.asynchronous,
    startedAtMs,
    endedAtMs: null,
    waitUntilMs: order.waitUntilMs ?? null,
    counts: null
  }
}

/** How many nodes of a run have each outcome, by the database. */
export function countNodes(store: RunStore, runId: string): RunRecord['counts'] {
  const counts: Partial<Record<CountedOutcome, number>> = {}
  for (const { outcome, exitCode, count } of store.countOutcomes(runId)) {
    const kind = countedOutcome(NODE_OUTCOMES.find(known => known === outcome) ?? 'unknown', exitCode)
    counts[kind] = (counts[kind] ?? 0) + count
  }
  return counts
}
