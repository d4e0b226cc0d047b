import type { NodeRecord, Reached, RunRecord, RunState } from '../../../remote-run/records/run-record.js'
import type { NewRun } from '../../../remote-run/records/run-repository.js'
import { type CountedOutcome, countedOutcome, NODE_OUTCOMES } from '../../../values/runs/run-event.js'
import type { TableColumns } from './columns.js'

const REACHED: readonly Reached[] = ['link', 'direct', 'command']
const STATES: readonly RunState[] = ['running', 'done', 'cancelled', 'interrupted']

/** A row of `runs`. Times are ms since 1970. */
export interface RunRow {
  readonly id: string
  readonly state: string
  readonly askedBy: string
  readonly nodes: string
  /** Separated by commas; empty for none. */
  readonly conditions: string
  readonly keepOutput: number
  readonly asynchronous: number
  readonly startedAtMs: number
  readonly endedAtMs: number | null
  readonly waitUntilMs: number | null
  /** JSON; null until the run has ended. */
  readonly counts: string | null
}

/** A row of `run_nodes`. */
export interface RunNodeRow {
  readonly node: string
  readonly via: string | null
  readonly reached: string | null
  readonly outcome: string
  readonly exitCode: number | null
  readonly startedAtMs: number | null
  readonly durationMs: number | null
  readonly message: string | null
  /** The hop at which the way to the node ended: all three, or none. */
  readonly unreachedFrom: string | null
  readonly unreachedTo: string | null
  readonly unreachedReason: string | null
}

/** How many nodes of a run share an outcome. */
export interface OutcomeCount {
  readonly outcome: string
  readonly exitCode: number | null
  readonly count: number
}

export const RUN_COLUMNS: TableColumns<RunRow> = {
  id: 'id',
  state: 'state',
  askedBy: 'asked_by',
  nodes: 'nodes',
  conditions: 'conditions',
  keepOutput: 'keep_output',
  asynchronous: 'asynchronous',
  startedAtMs: 'started_at',
  endedAtMs: 'ended_at',
  waitUntilMs: 'wait_until',
  counts: 'counts'
}

export const NODE_COLUMNS: TableColumns<RunNodeRow> = {
  node: 'node',
  via: 'via',
  reached: 'reached',
  outcome: 'outcome',
  exitCode: 'exit_code',
  startedAtMs: 'started_at',
  durationMs: 'duration_ms',
  message: 'message',
  unreachedFrom: 'unreached_from',
  unreachedTo: 'unreached_to',
  unreachedReason: 'unreached_reason'
}

export function toRunRecord(row: RunRow): RunRecord {
  return {
    id: row.id,
    state: STATES.find(state => state === row.state) ?? 'interrupted',
    askedBy: row.askedBy,
    nodes: row.nodes === 'all' ? 'all' : 'list',
    conditions: row.conditions === '' ? [] : row.conditions.split(','),
    keepOutput: row.keepOutput === 1,
    asynchronous: row.asynchronous === 1,
    startedAtMs: row.startedAtMs,
    endedAtMs: row.endedAtMs ?? undefined,
    waitUntilMs: row.waitUntilMs ?? undefined,
    counts: row.counts === null ? {} : (JSON.parse(row.counts) as RunRecord['counts'])
  }
}

export function newRunRow(run: NewRun): RunRow {
  return {
    ...run,
    state: 'running',
    conditions: run.conditions.join(','),
    keepOutput: Number(run.keepOutput),
    asynchronous: Number(run.asynchronous),
    waitUntilMs: run.waitUntilMs ?? null,
    endedAtMs: null,
    counts: null
  }
}

export function toNodeRecord(row: RunNodeRow): NodeRecord {
  const { unreachedFrom: from, unreachedTo: to, unreachedReason: reason } = row
  return {
    node: row.node,
    via: row.via ?? undefined,
    reached: REACHED.find(way => way === row.reached),
    outcome: NODE_OUTCOMES.find(outcome => outcome === row.outcome) ?? 'unknown',
    exitCode: row.exitCode ?? undefined,
    startedAtMs: row.startedAtMs ?? undefined,
    durationMs: row.durationMs ?? undefined,
    message: row.message ?? undefined,
    unreached: from === null || to === null || reason === null ? undefined : { from, to, reason }
  }
}

export function toNodeRow(node: NodeRecord): RunNodeRow {
  return {
    node: node.node,
    via: node.via ?? null,
    reached: node.reached ?? null,
    outcome: node.outcome,
    exitCode: node.exitCode ?? null,
    startedAtMs: node.startedAtMs ?? null,
    durationMs: node.durationMs ?? null,
    message: node.message ?? null,
    unreachedFrom: node.unreached?.from ?? null,
    unreachedTo: node.unreached?.to ?? null,
    unreachedReason: node.unreached?.reason ?? null
  }
}

export function toCounts(rows: readonly OutcomeCount[]): RunRecord['counts'] {
  const counts: Partial<Record<CountedOutcome, number>> = {}
  for (const { outcome, exitCode, count } of rows) {
    const kind = countedOutcome(NODE_OUTCOMES.find(known => known === outcome) ?? 'unknown', exitCode)
    counts[kind] = (counts[kind] ?? 0) + count
  }
  return counts
}
