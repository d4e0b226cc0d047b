import type { FileKey } from '../values/ids.js'
import type { Database } from './database.js'

/** How many entries there are, and the size of their files in all. */
interface Totals {
  readonly count: number
  readonly bytes: number
}

/** A file that waits for its next hop, as SQLite has it. Times are ms since 1970. */
export interface OutboxRow extends FileKey {
  readonly id: string
  readonly state: 'pending' | 'failed'
  readonly sizeBytes: number
  readonly algorithm: string
  /** Lower-case hex. */
  readonly hash: string
  readonly acceptedAtMs: number
  readonly expiresAtMs: number
  readonly signedAtMs: number | null
  readonly metadata: string
  /** The source's key hash, in the form of the nodes list. */
  readonly keyHash: string
  readonly passed: string
  readonly requestId: string
  readonly attempts: number
  readonly nextAttemptAtMs: number
  readonly lastStatus: number | null
  readonly lastError: string | null
}

/** What one attempt to hand an entry on came to. */
export type OutboxAttempt = Pick<OutboxRow, 'id' | 'state' | 'nextAttemptAtMs' | 'lastStatus' | 'lastError'>

const COLUMNS = `id, target, source, file_id AS fileId, state, size_bytes AS sizeBytes, algorithm, hash,
  accepted_at AS acceptedAtMs, expires_at AS expiresAtMs, signed_at AS signedAtMs, metadata, key_hash AS keyHash, passed,
  request_id AS requestId, attempts, next_attempt_at AS nextAttemptAtMs, last_status AS lastStatus,
  last_error AS lastError`

/** Rows of `outbox`. Writes are to be called within a group commit. */
export function createOutboxStore(db: Database) {
  const byKey = db.prepare<[FileKey], OutboxRow>(
    `SELECT ${COLUMNS} FROM outbox WHERE target = @target AND source = @source AND file_id = @fileId`
  )
  const byId = db.prepare<[string], OutboxRow>(`SELECT ${COLUMNS} FROM outbox WHERE id = ?`)
  const put = db.prepare<[OutboxRow]>(
    `INSERT OR REPLACE INTO outbox (id, target, source, file_id, state, size_bytes, algorithm, hash, accepted_at,
       expires_at, signed_at, metadata, key_hash, passed, request_id, attempts, next_attempt_at, last_status, last_error)
     VALUES (@id, @target, @source, @fileId, @state, @sizeBytes, @algorithm, @hash, @acceptedAtMs,
       @expiresAtMs, @signedAtMs, @metadata, @keyHash, @passed, @requestId, @attempts, @nextAttemptAtMs, @lastStatus,
       @lastError)`
  )
  const remove = db.prepare<[string]>('DELETE FROM outbox WHERE id = ?')
  const record = db.prepare<[OutboxAttempt]>(
    `UPDATE outbox SET state = @state, attempts = attempts + 1, next_attempt_at = @nextAttemptAtMs,
       last_status = @lastStatus, last_error = @lastError WHERE id = @id`
  )
  const release = db.prepare<[number, string]>("UPDATE outbox SET state = 'pending', next_attempt_at = ? WHERE id = ?")
  const releaseAll = db.prepare<[number]>("UPDATE outbox SET state = 'pending', next_attempt_at = ?")
  const list = db.prepare<[number], OutboxRow>(`SELECT ${COLUMNS} FROM outbox ORDER BY id LIMIT ?`)
  const listOf = db.prepare<[string, string, number], OutboxRow>(
    `SELECT ${COLUMNS} FROM outbox WHERE source = ? OR target = ? ORDER BY id LIMIT ?`
  )
  const ids = db.prepare<[], string>('SELECT id FROM outbox').pluck()
  const totals = db.prepare<[], Totals>('SELECT count(*) AS count, coalesce(sum(size_bytes), 0) AS bytes FROM outbox')
  const countOfState = db.prepare<[string], number>('SELECT count(*) FROM outbox WHERE state = ?').pluck()
  const countOf = db
    .prepare<[string, string, string], number>(
      'SELECT count(*) FROM outbox WHERE (source = ? OR target = ?) AND state = ?'
    )
    .pluck()
  const countOfSource = db.prepare<[string], number>('SELECT count(*) FROM outbox WHERE source = ?').pluck()
  const countByTarget = db.prepare<[], { readonly target: string; readonly count: number }>(
    "SELECT target, count(*) AS count FROM outbox WHERE state = 'pending' GROUP BY target"
  )
  const targets = db.prepare<[], string>("SELECT DISTINCT target FROM outbox WHERE state = 'pending'").pluck()
  const nextDue = db
    .prepare<[number, string], number | null>(
      `SELECT min(iif(next_attempt_at > ?, 0, next_attempt_at)) FROM outbox
       WHERE state = 'pending' AND target IN (SELECT value FROM json_each(?))`
    )
    .pluck()
  const due = db
    .prepare<[string, number, number, number, number], string>(
      `SELECT id FROM outbox WHERE state = 'pending' AND target IN (SELECT value FROM json_each(?))
         AND (next_attempt_at <= ? OR next_attempt_at > ? OR (? AND last_status IS NULL))
       ORDER BY next_attempt_at, id LIMIT ?`
    )
    .pluck()
  const expired = db
    .prepare<[number, number], string>('SELECT id FROM outbox WHERE expires_at <= ? ORDER BY expires_at LIMIT ?')
    .pluck()

  return {
    findByKey: (key: FileKey): OutboxRow | undefined => byKey.get(key),
    find: (id: string): OutboxRow | undefined => byId.get(id),
    /** Takes the place of an entry with the same key. */
    put: (row: OutboxRow): void => void put.run(row),
    remove: (id: string): boolean => remove.run(id).changes > 0,
    /** Counts an attempt, and says what came of it. */
    record: (attempt: OutboxAttempt): void => void record.run(attempt),
    /** Makes an entry due, a failed one too. @returns how many there were (0 or 1) */
    release: (id: string, nowMs: number): number => release.run(nowMs, id).changes,
    releaseAll: (nowMs: number): number => releaseAll.run(nowMs).changes,
    list: (limit: number): OutboxRow[] => list.all(limit),
    /** Those that a node is the source or the target of. */
    listOf: (nodeId: string, limit: number): OutboxRow[] => listOf.all(nodeId, nodeId, limit),
    countOf: (nodeId: string, state: OutboxRow['state']): number => countOf.get(nodeId, nodeId, state) ?? 0,
    ids: (): string[] => ids.all(),
    totals: (): Totals => totals.get() ?? { count: 0, bytes: 0 },
    countOfState: (state: OutboxRow['state']): number => countOfState.get(state) ?? 0,
    countOfSource: (source: string): number => countOfSource.get(source) ?? 0,
    /** How many pending entries there are for each target. */
    countByTarget: () => countByTarget.all(),
    /** Targets that pending entries are for. */
    targets: (): string[] => targets.all(),
    /**
     * When the first pending entry for one of `targets` is due; undefined when there is none. One that is put off to after
     * `latestMs` is due: the clock was set back since.
     */
    nextDue: (targets: readonly string[], latestMs: number): number | undefined =>
      nextDue.get(latestMs, JSON.stringify(targets)) ?? undefined,
    /**
     * Ids of pending entries for `targets` that are due, the longest waiting first.
     * @param withUnreached also those that were put off because the hop gave no answer at all
     */
    due: (
      targets: readonly string[],
      { nowMs, latestMs }: { readonly nowMs: number; readonly latestMs: number },
      withUnreached: boolean,
      limit: number
    ): string[] => due.all(JSON.stringify(targets), nowMs, latestMs, withUnreached ? 1 : 0, limit),
    /** The pending entry for one of `targets` that was tried least lately. */
    probe: (targets: readonly string[]): string | undefined =>
      due.all(JSON.stringify(targets), Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, 0, 1)[0],
    expired: (nowMs: number, limit: number): string[] => expired.all(nowMs, limit)
  }
}

export type OutboxStore = ReturnType<typeof createOutboxStore>
