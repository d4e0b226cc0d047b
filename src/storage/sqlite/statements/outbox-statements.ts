import type { Totals } from '../../../shared-files/keeping/file-repository.js'
import type { FileKey } from '../../../values/ids.js'
import type { Database } from '../../sqlite-engine/database.js'
import { insertInto, selectList } from './columns.js'
import { LISTED_OUTBOX_COLUMNS, type ListedRow, OUTBOX_COLUMNS, type OutboxRow } from './outbox-rows.js'

type AttemptRow = Pick<OutboxRow, 'id' | 'state' | 'nextAttemptAtMs' | 'lastStatus' | 'lastError'>

/** Bounds of the entries that are due; `claimed` is a list in JSON. */
interface DueBounds {
  readonly claimed: string
  readonly nowMs: number
  readonly latestMs: number
  readonly withUnreached: number
  readonly limit: number
}

const COLUMNS = selectList(OUTBOX_COLUMNS)
/** Without the metadata block, which may have 64 KiB. */
const LISTED_COLUMNS = selectList(LISTED_OUTBOX_COLUMNS)
/** Selects the ids of a page of entries with a node as source or target: as many of each side as the page may have. */
const IDS_OF_NODE = ['source', 'target']
  .map(
    side => `SELECT id FROM (SELECT id FROM outbox WHERE ${side} = @nodeId AND id > @after ORDER BY id LIMIT @limit)`
  )
  .join(' UNION ')
/** Counts both sides, less what is on both. */
const COUNT_OF_NODE = `SELECT
  (SELECT count(*) FROM outbox INDEXED BY outbox_of_source WHERE source = @nodeId AND state = @state)
  + (SELECT count(*) FROM outbox INDEXED BY outbox_in_time WHERE state = @state AND target = @nodeId)
  - (SELECT count(*) FROM outbox WHERE target = @nodeId AND source = @nodeId AND state = @state)`
const FREE_FOR_TARGET = `state = 'pending' AND target = asked.value
  AND id NOT IN (SELECT value FROM json_each(@claimed))`
/** The three ranges of times in which entries are due, the earliest first: an OR of them would read all that is between. */
const DUE_RANGES = [
  'next_attempt_at <= @nowMs',
  '@withUnreached AND last_status IS NULL AND next_attempt_at > @nowMs AND next_attempt_at <= @latestMs',
  'next_attempt_at > max(@nowMs, @latestMs)'
]
/** Selects the targets whose first due entries have waited longest, those without any last. */
const DUE_TARGETS = `SELECT asked.value AS target, coalesce(${DUE_RANGES.map(
  range => `(SELECT next_attempt_at FROM outbox WHERE ${FREE_FOR_TARGET} AND ${range} ORDER BY next_attempt_at LIMIT 1)`
).join(', ')}) AS atMs FROM json_each(@targets) AS asked ORDER BY atMs NULLS LAST LIMIT @limit`
const DUE_OF_TARGET = `${DUE_RANGES.map(
  range => `SELECT * FROM (SELECT id, next_attempt_at AS atMs FROM outbox WHERE state = 'pending' AND target = @target
    AND id NOT IN (SELECT value FROM json_each(@claimed)) AND ${range} ORDER BY next_attempt_at, id LIMIT @limit)`
).join(' UNION ALL ')} LIMIT @limit`
/** Selects the time of the first entry that is due, 0 where one is put off to after the latest time: two looks at each target. */
const NEXT_DUE = `SELECT min(coalesce(
    (SELECT 0 FROM outbox WHERE ${FREE_FOR_TARGET} AND next_attempt_at > @latestMs LIMIT 1),
    (SELECT next_attempt_at FROM outbox WHERE ${FREE_FOR_TARGET} ORDER BY next_attempt_at LIMIT 1)
  )) FROM json_each(@targets) AS asked`
/** Selects each target once, by a look for the next one: DISTINCT would read all entries. */
const TARGETS = `WITH RECURSIVE found (target) AS (
    SELECT min(target) FROM outbox WHERE state = 'pending'
    UNION ALL
    SELECT (SELECT min(target) FROM outbox WHERE state = 'pending' AND target > found.target)
    FROM found WHERE found.target IS NOT NULL
  ) SELECT target FROM found WHERE target IS NOT NULL`

interface DueEntry {
  readonly id: string
  readonly atMs: number
}

/**
 * The ids of due entries, the longest waiting first. It reads the first due one of each target, and then the entries of
 * as few targets as it can.
 */
export function dueIds(
  { dueTargets, dueOfTarget }: Pick<OutboxStatements, 'dueTargets' | 'dueOfTarget'>,
  targets: readonly string[],
  bounds: DueBounds
): string[] {
  let found: DueEntry[] = []
  for (const { target, atMs } of dueTargets.all({ targets: JSON.stringify(targets), ...bounds })) {
    const last = found[bounds.limit - 1]
    if (atMs === null || (last !== undefined && last.atMs <= atMs)) break
    found = [...found, ...dueOfTarget.all({ target, ...bounds })]
      .sort((a, b) => a.atMs - b.atMs || (a.id < b.id ? -1 : 1))
      .slice(0, bounds.limit)
  }
  return found.map(({ id }) => id)
}

export type OutboxStatements = ReturnType<typeof outboxStatements>

/** The statements of the outbox repository, prepared once. */
export function outboxStatements(db: Database) {
  return { ...outboxWrites(db), ...work(db), ...reads(db), ...counts(db) }
}

export type OutboxWrites = ReturnType<typeof outboxWrites>

/** The statements that change an entry as a whole. */
export function outboxWrites(db: Database) {
  return {
    insert: db.prepare<[OutboxRow]>(
      `${insertInto('outbox', OUTBOX_COLUMNS)} ON CONFLICT (target, source, file_id) DO NOTHING`
    ),
    remove: db.prepare<[string]>('DELETE FROM outbox WHERE id = ?')
  }
}

function work(db: Database) {
  return {
    recordAttempt: db.prepare<[AttemptRow]>(
      `UPDATE outbox SET state = @state, attempts = attempts + 1, next_attempt_at = @nextAttemptAtMs,
         last_status = @lastStatus, last_error = @lastError WHERE id = @id`
    ),
    makeDue: db.prepare<[number, string]>("UPDATE outbox SET state = 'pending', next_attempt_at = ? WHERE id = ?"),
    idsAfter: db.prepare<[string, number], string>('SELECT id FROM outbox WHERE id > ? ORDER BY id LIMIT ?').pluck(),
    makeSomeDue: db.prepare<[{ nowMs: number; after: string; last: string }]>(
      `UPDATE outbox SET state = 'pending', next_attempt_at = @nowMs
       WHERE id > @after AND id <= @last AND (state = 'failed' OR next_attempt_at > @nowMs)`
    ),
    dueTargets: db.prepare<
      [DueBounds & { targets: string }],
      { readonly target: string; readonly atMs: number | null }
    >(DUE_TARGETS),
    dueOfTarget: db.prepare<[DueBounds & { target: string }], DueEntry>(DUE_OF_TARGET),
    nextDue: db
      .prepare<[Pick<DueBounds, 'claimed' | 'latestMs'> & { targets: string }], number | null>(NEXT_DUE)
      .pluck(),
    targets: db.prepare<[], string>(TARGETS).pluck()
  }
}

function reads(db: Database) {
  return {
    find: db.prepare<[string], OutboxRow>(`SELECT ${COLUMNS} FROM outbox WHERE id = ?`),
    findByKey: db.prepare<[FileKey], OutboxRow>(
      `SELECT ${COLUMNS} FROM outbox WHERE target = @target AND source = @source AND file_id = @fileId`
    ),
    page: db.prepare<[string, number], ListedRow>(
      `SELECT ${LISTED_COLUMNS} FROM outbox WHERE id > ? ORDER BY id LIMIT ?`
    ),
    pageOf: db.prepare<[{ nodeId: string; after: string; limit: number }], ListedRow>(
      `SELECT ${LISTED_COLUMNS} FROM outbox WHERE id IN (${IDS_OF_NODE}) ORDER BY id LIMIT @limit`
    ),
    ids: db.prepare<[], string>('SELECT id FROM outbox').pluck(),
    expired: db.prepare<[number], string>('SELECT id FROM outbox WHERE expires_at <= ? ORDER BY expires_at').pluck()
  }
}

function counts(db: Database) {
  return {
    totals: db.prepare<[], Totals>('SELECT count(*) AS count, coalesce(sum(size_bytes), 0) AS bytes FROM outbox'),
    count: db.prepare<[string], number>('SELECT count(*) FROM outbox WHERE state = ?').pluck(),
    countOf: db.prepare<[{ nodeId: string; state: string }], number>(COUNT_OF_NODE).pluck(),
    countByTarget: db.prepare<[], { readonly target: string; readonly count: number }>(
      "SELECT target, count(*) AS count FROM outbox WHERE state = 'pending' GROUP BY target ORDER BY target"
    )
  }
}
