import type { Database } from './database.js'

/** A run as stored. Times are ms since 1970. */
export interface RunRow {
  readonly id: string
  readonly state: string
  readonly askedBy: string
  readonly nodes: string
  /** Separated by commas; empty for none. */
  readonly conditions: string
  readonly keepOutput: boolean
  readonly asynchronous: boolean
  readonly startedAtMs: number
  readonly endedAtMs: number | null
  /** Until when it waits for nodes that are not connected. */
  readonly waitUntilMs: number | null
  /** JSON, null until the run has ended. */
  readonly counts: string | null
}

/** One node of a run as stored. */
export interface RunNodeRow {
  readonly node: string
  readonly via: string | null
  /** `link` or `command`, where this relay runs it itself. */
  readonly reached: string | null
  readonly outcome: string
  readonly exitCode: number | null
  readonly startedAtMs: number | null
  readonly durationMs: number | null
  readonly message: string | null
  /** The hop at which the way to it ended; all three or none. */
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

type StoredRun = Omit<RunRow, 'keepOutput' | 'asynchronous'> & { keepOutput: number; asynchronous: number }

const RUN_COLUMNS = `id, state, asked_by AS askedBy, nodes, conditions, keep_output AS keepOutput, asynchronous,
  started_at AS startedAtMs, ended_at AS endedAtMs, wait_until AS waitUntilMs, counts`
const NODE_COLUMNS = `node, via, reached, outcome, exit_code AS exitCode, started_at AS startedAtMs,
  duration_ms AS durationMs, message, unreached_from AS unreachedFrom, unreached_to AS unreachedTo,
  unreached_reason AS unreachedReason`

export type RunStore = ReturnType<typeof createRunStore>

/**
 * Runs and their nodes. The writing functions are plain statements: the caller groups them into transactions
 * (`groupCommitOf`), and decides how many rows one call may hold.
 */
export function createRunStore(db: Database) {
  const insertRun = db.prepare(
    `INSERT INTO runs (id, state, asked_by, nodes, conditions, keep_output, asynchronous, started_at, ended_at,
       wait_until, counts)
     VALUES (@id, @state, @askedBy, @nodes, @conditions, @keepOutput, @asynchronous, @startedAtMs, @endedAtMs,
       @waitUntilMs, @counts)`
  )
  const insertNode = db.prepare(
    `INSERT INTO run_nodes (run_id, node, via, reached, outcome, exit_code, started_at, duration_ms, message,
       unreached_from, unreached_to, unreached_reason)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
  )
  const updateNode = db.prepare(
    `UPDATE run_nodes SET outcome = ?, reached = coalesce(?, reached), exit_code = ?,
       started_at = coalesce(?, started_at), duration_ms = ?, message = ?,
       unreached_from = ?, unreached_to = ?, unreached_reason = ?
     WHERE run_id = ? AND node = ?`
  )
  const endRun = db.prepare(`UPDATE runs SET state = ?, ended_at = ?, counts = ? WHERE id = ?`)
  const find = db.prepare<[string], StoredRun>(`SELECT ${RUN_COLUMNS} FROM runs WHERE id = ?`)
  const list = db.prepare<[string, number], StoredRun>(
    `SELECT ${RUN_COLUMNS} FROM runs WHERE id < ? ORDER BY id DESC LIMIT ?`
  )
  const nodes = db.prepare<[string, string, number], RunNodeRow>(
    `SELECT ${NODE_COLUMNS} FROM run_nodes WHERE run_id = ? AND node > ? ORDER BY node LIMIT ?`
  )
  const unfinished = db.prepare<[], { id: string }>(`SELECT id FROM runs WHERE state = 'running'`)
  const settleOpen = db.prepare(
    `UPDATE run_nodes SET outcome = ?, message = ? WHERE run_id = ? AND outcome IN ('queued', 'running')`
  )
  const openLinked = db.prepare<[string], { node: string }>(
    `SELECT node FROM run_nodes
     WHERE run_id = ? AND outcome IN ('queued', 'running') AND via IS NULL AND reached = 'link'`
  )
  const waiting = db.prepare<[string], { node: string; via: string | null }>(
    `SELECT node, via FROM run_nodes
     WHERE run_id = ? AND (outcome = 'queued' AND reached IS NULL
       OR outcome = 'running' AND via IS NOT NULL AND started_at IS NOT NULL)`
  )
  const give = db.prepare(
    `UPDATE run_nodes SET outcome = 'running' WHERE run_id = ? AND node = ? AND outcome = 'queued'`
  )
  const takeBack = db.prepare(
    `UPDATE run_nodes SET outcome = 'queued'
     WHERE run_id = ? AND node = ? AND outcome = 'running' AND via IS NOT NULL AND started_at IS NULL`
  )
  const count = db.prepare<[string], OutcomeCount>(
    `SELECT outcome, exit_code AS exitCode, count(*) AS count
     FROM run_nodes WHERE run_id = ? GROUP BY 1, 2`
  )
  const expired = db.prepare<[number, string, number, number], { id: string }>(
    `SELECT id FROM runs WHERE ended_at IS NOT NULL AND ended_at < ? AND (id < ? OR ended_at < ?)
     ORDER BY ended_at LIMIT ?`
  )
  const deleteNodes = db.prepare(
    `DELETE FROM run_nodes WHERE run_id = @id AND node IN (SELECT node FROM run_nodes WHERE run_id = @id LIMIT @limit)`
  )
  const deleteRun = db.prepare(`DELETE FROM runs WHERE id = ?`)

  return {
    insertRun(row: RunRow): void {
      insertRun.run({ ...row, keepOutput: Number(row.keepOutput), asynchronous: Number(row.asynchronous) })
    },
    insertNodes(runId: string, rows: readonly RunNodeRow[]): void {
      for (const row of rows) {
        insertNode.run(
          runId,
          row.node,
          row.via,
          row.reached,
          row.outcome,
          row.exitCode,
          row.startedAtMs,
          row.durationMs,
          row.message,
          row.unreachedFrom,
          row.unreachedTo,
          row.unreachedReason
        )
      }
    },
    updateNodes(runId: string, rows: readonly RunNodeRow[]): void {
      for (const row of rows) {
        const { outcome, reached, exitCode, startedAtMs, durationMs, message, node } = row
        const { unreachedFrom, unreachedTo, unreachedReason } = row
        const unreached = [unreachedFrom, unreachedTo, unreachedReason]
        updateNode.run(outcome, reached, exitCode, startedAtMs, durationMs, message, ...unreached, runId, node)
      }
    },
    /** @param counts JSON */
    endRun(id: string, state: string, endedAtMs: number, counts: string): void {
      endRun.run(state, endedAtMs, counts, id)
    },
    find: (id: string): RunRow | undefined => toRun(find.get(id)),
    /** Newest first, older than `beforeId`. */
    list: (limit: number, beforeId = '~'): RunRow[] => list.all(beforeId, limit).map(mapRun),
    /** By node id, after `afterNode`. */
    nodes: (runId: string, limit: number, afterNode = ''): RunNodeRow[] => nodes.all(runId, afterNode, limit),
    unfinishedIds: (): string[] => unfinished.all().map(row => row.id),
    /** Gives all nodes that are queued or running `outcome`. */
    settleOpenNodes(runId: string, outcome: string, message: string): void {
      settleOpen.run(outcome, message, runId)
    },
    /**
     * Queued nodes are with a sub-relay that tells nothing of them: running, nobody says since when. They are not among
     * {@link waitingNodes}.
     */
    giveNodes(runId: string, nodes: readonly string[]): void {
      for (const node of nodes) give.run(runId, node)
    },
    /** Those of {@link giveNodes} did not get there. */
    takeNodesBack(runId: string, nodes: readonly string[]): void {
      for (const node of nodes) takeBack.run(runId, node)
    },
    /** Nodes without an outcome that were to be reached over their links. */
    openLinkedNodes: (runId: string): string[] => openLinked.all(runId).map(row => row.node),
    /** Nodes for which nothing was started, or of which a sub-relay said that it has them at hand. */
    waitingNodes: (runId: string): { readonly node: string; readonly via: string | null }[] => waiting.all(runId),
    countOutcomes: (runId: string): OutcomeCount[] => count.all(runId),
    /** Ids of runs that ended before `endedBeforeMs`, oldest first. */
    /**
     * Ids of runs that ended before, in ms since 1970. One whose id is not less than `idBefore` could be ordered again, by a
     * relay whose clock is ahead: it stays until it ended before `anywayBeforeMs`.
     */
    expiredIds: (endedBeforeMs: number, idBefore: string, anywayBeforeMs: number, limit: number): string[] =>
      expired.all(endedBeforeMs, idBefore, anywayBeforeMs, limit).map(row => row.id),
    /** @returns how many rows went; 0 when none is left */
    deleteNodes: (id: string, limit: number): number => deleteNodes.run({ id, limit }).changes,
    /** The nodes must have gone before. */
    deleteRun(id: string): void {
      deleteRun.run(id)
    }
  }
}

function toRun(row: StoredRun | undefined): RunRow | undefined {
  return row === undefined ? undefined : mapRun(row)
}

function mapRun(row: StoredRun): RunRow {
  return { ...row, keepOutput: row.keepOutput === 1, asynchronous: row.asynchronous === 1 }
}
