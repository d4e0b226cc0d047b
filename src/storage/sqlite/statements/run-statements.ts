import type { Database } from '../../sqlite-engine/database.js'
import { insertInto, selectList, setList } from './columns.js'
import { NODE_COLUMNS, type OutcomeCount, RUN_COLUMNS, type RunNodeRow, type RunRow } from './run-rows.js'

type NodeWrite = RunNodeRow & { readonly runId: string }

/** All but the node and the sub-relay above it, which stay as the plan has them. */
const { node: _node, via: _via, ...CHANGING_COLUMNS } = NODE_COLUMNS

const OPEN = "outcome IN ('queued', 'running')"

export type RunStatements = ReturnType<typeof runStatements>

/** The statements of the run repository, prepared once. */
export function runStatements(db: Database) {
  return { ...writes(db), ...nodeWrites(db), ...orders(db), ...ages(db), ...runReads(db), ...nodeReads(db) }
}

function writes(db: Database) {
  return {
    insertRun: db.prepare<[RunRow]>(`${insertInto('runs', RUN_COLUMNS)} ON CONFLICT (id) DO NOTHING`),
    endRun: db.prepare<[string, number, string, string]>(
      'UPDATE runs SET state = ?, ended_at = ?, counts = ? WHERE id = ?'
    ),
    deleteRun: db.prepare<[string]>('DELETE FROM runs WHERE id = ?')
  }
}

function orders(db: Database) {
  return {
    insertOrder: db.prepare<[string, string, number]>(
      'INSERT INTO run_orders (order_key, run_id, ordered_at) VALUES (?, ?, ?)'
    ),
    findOrder: db.prepare<[string], string>('SELECT run_id FROM run_orders WHERE order_key = ?').pluck(),
    deleteOrders: db.prepare<[number, number]>(
      `DELETE FROM run_orders WHERE order_key IN (
         SELECT order_key FROM run_orders
         WHERE ordered_ran < ? AND NOT EXISTS (SELECT 1 FROM runs WHERE id = run_id)
         ORDER BY ordered_ran LIMIT ?)`
    )
  }
}

const UNSEEN_RUN = 'ended_at IS NOT NULL AND ended_ran IS NULL'

function ages(db: Database) {
  return {
    unseen: db
      .prepare<[], number>(
        `SELECT EXISTS (SELECT 1 FROM runs WHERE ${UNSEEN_RUN})
           OR EXISTS (SELECT 1 FROM run_orders WHERE ordered_ran IS NULL)`
      )
      .pluck(),
    noteEnded: db.prepare<[number, number]>(
      `UPDATE runs SET ended_ran = ? WHERE id IN (SELECT id FROM runs WHERE ${UNSEEN_RUN} LIMIT ?)`
    ),
    noteOrdered: db.prepare<[number, number]>(
      `UPDATE run_orders SET ordered_ran = ?
       WHERE order_key IN (SELECT order_key FROM run_orders WHERE ordered_ran IS NULL LIMIT ?)`
    )
  }
}

function nodeWrites(db: Database) {
  return {
    insertNode: db.prepare<[NodeWrite]>(insertInto('run_nodes', { runId: 'run_id', ...NODE_COLUMNS })),
    updateNode: db.prepare<[NodeWrite]>(
      `UPDATE run_nodes SET ${setList(CHANGING_COLUMNS, ['reached', 'startedAtMs'])}
       WHERE run_id = @runId AND node = @node`
    ),
    interruptOpenNodes: db.prepare<[string, string]>(
      `UPDATE run_nodes SET outcome = 'interrupted', message = ? WHERE run_id = ? AND ${OPEN}`
    ),
    markGiven: db.prepare<[string, string]>(
      "UPDATE run_nodes SET outcome = 'running' WHERE run_id = ? AND node = ? AND outcome = 'queued'"
    ),
    unmarkGiven: db.prepare<[string, string]>(
      `UPDATE run_nodes SET outcome = 'queued'
       WHERE run_id = ? AND node = ? AND outcome = 'running' AND via IS NOT NULL AND started_at IS NULL`
    ),
    deleteNodes: db.prepare<[{ readonly runId: string; readonly limit: number }]>(
      `DELETE FROM run_nodes
       WHERE run_id = @runId AND node IN (SELECT node FROM run_nodes WHERE run_id = @runId LIMIT @limit)`
    )
  }
}

function runReads(db: Database) {
  return {
    find: db.prepare<[string], RunRow>(`SELECT ${selectList(RUN_COLUMNS)} FROM runs WHERE id = ?`),
    page: db.prepare<[string, number], RunRow>(
      `SELECT ${selectList(RUN_COLUMNS)} FROM runs WHERE id < ? ORDER BY id DESC LIMIT ?`
    ),
    unfinished: db.prepare<[], string>("SELECT id FROM runs WHERE state = 'running' ORDER BY id").pluck(),
    expired: db
      .prepare<[number, string, number, number], string>(
        `SELECT id FROM runs WHERE ended_ran IS NOT NULL AND ended_ran < ? AND (id < ? OR ended_ran < ?)
         ORDER BY ended_ran LIMIT ?`
      )
      .pluck()
  }
}

function nodeReads(db: Database) {
  return {
    nodes: db.prepare<[string, string, number], RunNodeRow>(
      `SELECT ${selectList(NODE_COLUMNS)} FROM run_nodes WHERE run_id = ? AND node > ? ORDER BY node LIMIT ?`
    ),
    waitingNodes: db.prepare<[string], { readonly node: string; readonly via: string | null }>(
      `SELECT node, via FROM run_nodes
       WHERE run_id = ? AND (outcome = 'queued' AND (reached IS NULL OR reached = 'direct')
         OR outcome = 'running' AND via IS NOT NULL AND started_at IS NOT NULL)`
    ),
    openLinkedNodes: db
      .prepare<[string], string>(
        `SELECT node FROM run_nodes
         WHERE run_id = ? AND ${OPEN} AND via IS NULL AND reached IN ('link', 'direct')`
      )
      .pluck(),
    countOutcomes: db.prepare<[string], OutcomeCount>(
      'SELECT outcome, exit_code AS exitCode, count(*) AS count FROM run_nodes WHERE run_id = ? GROUP BY 1, 2'
    )
  }
}
