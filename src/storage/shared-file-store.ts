import type { FileKey } from '../values/ids.js'
import type { Database } from './database.js'

/** A kept file, as SQLite has it. Times are ms since 1970. */
export interface SharedFileRow extends FileKey {
  readonly sizeBytes: number
  readonly algorithm: string
  /** Lower-case hex. */
  readonly hash: string
  readonly acceptedAtMs: number
  readonly storedAtMs: number
  readonly expiresAtMs: number
  readonly signedAtMs: number | null
  /** The metadata block without `expires`. */
  readonly metadata: string
  /** While the file is being put in place: its name in `.incoming~`. */
  readonly spool: string | null
  /** The relays between this one and the target, `/` between them; empty for a node of this relay. */
  readonly via: string
}

/** What HEAD needs of a file. */
export interface FileHash {
  readonly hash: string
  readonly expiresAtMs: number
  readonly via: string
}

export interface Totals {
  readonly count: number
  readonly bytes: number
}

const KEY = 'target = @target AND source = @source AND file_id = @fileId'
const COLUMNS = `target, source, file_id AS fileId, size_bytes AS sizeBytes, algorithm, hash, accepted_at AS acceptedAtMs,
  stored_at AS storedAtMs, expires_at AS expiresAtMs, signed_at AS signedAtMs, metadata, spool, via`

/** Rows of `shared_files`. Writes are to be called within a group commit. */
export function createSharedFileStore(db: Database) {
  const find = db.prepare<[FileKey], SharedFileRow>(`SELECT ${COLUMNS} FROM shared_files WHERE ${KEY}`)
  const findHash = db.prepare<[string, string, string], FileHash>(
    'SELECT hash, expires_at AS expiresAtMs, via FROM shared_files WHERE target = ? AND source = ? AND file_id = ?'
  )
  const put = db.prepare<[SharedFileRow]>(
    `INSERT OR REPLACE INTO shared_files (target, source, file_id, size_bytes, algorithm, hash, accepted_at, stored_at,
       expires_at, signed_at, metadata, spool, via)
     VALUES (@target, @source, @fileId, @sizeBytes, @algorithm, @hash, @acceptedAtMs, @storedAtMs, @expiresAtMs,
       @signedAtMs, @metadata, @spool, @via)`
  )
  const settle = db.prepare<[string]>('UPDATE shared_files SET spool = NULL WHERE spool = ?')
  const remove = db.prepare<[FileKey]>(`DELETE FROM shared_files WHERE ${KEY}`)
  const totals = db.prepare<[], Totals>(
    'SELECT count(*) AS count, coalesce(sum(size_bytes), 0) AS bytes FROM shared_files'
  )
  const countOfSource = db.prepare<[string], number>('SELECT count(*) FROM shared_files WHERE source = ?').pluck()
  const placing = db.prepare<[], SharedFileRow>(`SELECT ${COLUMNS} FROM shared_files WHERE spool IS NOT NULL`)
  const expired = db.prepare<[number, number, number], FileKey>(
    `SELECT target, source, file_id AS fileId FROM shared_files WHERE expires_at <= ? ORDER BY expires_at LIMIT ? OFFSET ?`
  )
  const after = db.prepare<[FileKey & { limit: number }], SharedFileRow>(
    `SELECT ${COLUMNS} FROM shared_files WHERE (target, source, file_id) > (@target, @source, @fileId)
     ORDER BY target, source, file_id LIMIT @limit`
  )
  const onBehalfOf = db.prepare<[FileKey & { relay: string; limit: number }], SharedFileRow>(
    `SELECT ${COLUMNS} FROM shared_files
     WHERE via <> '' AND (via = @relay OR substr(via, 1, length(@relay) + 1) = @relay || '/')
       AND (target, source, file_id) > (@target, @source, @fileId)
     ORDER BY target, source, file_id LIMIT @limit`
  )
  const forTarget = db.prepare<
    [{ target: string; fileId: string | null; nowMs: number; limit: number }],
    SharedFileRow
  >(
    `SELECT ${COLUMNS} FROM shared_files WHERE target = @target AND (@fileId IS NULL OR file_id = @fileId)
       AND expires_at > @nowMs ORDER BY source, file_id LIMIT @limit`
  )

  return {
    find: (key: FileKey): SharedFileRow | undefined => find.get(key),
    findHash: (key: FileKey): FileHash | undefined => findHash.get(key.target, key.source, key.fileId),
    /** Takes the place of a row with the same key. */
    put: (row: SharedFileRow): void => void put.run(row),
    /** Records that the file of a row is in place, durably. A row that was replaced since is left alone. */
    settle: (spool: string): void => void settle.run(spool),
    remove: (key: FileKey): boolean => remove.run(key).changes > 0,
    totals: (): Totals => totals.get() ?? { count: 0, bytes: 0 },
    countOfSource: (source: string): number => countOfSource.get(source) ?? 0,
    /** Rows whose file may not be in place yet. */
    placing: (): SharedFileRow[] => placing.all(),
    /** Keys of files that have expired, oldest first. */
    expired: (nowMs: number, limit: number, offset: number): FileKey[] => expired.all(nowMs, limit, offset),
    /** The rows that follow `key` in the order of keys. */
    after: (key: FileKey, limit: number): SharedFileRow[] => after.all({ ...key, limit }),
    /** Of the rows that follow `key`, those whose files are kept on behalf of a relay below. */
    onBehalfOf: (relay: string, key: FileKey, limit: number): SharedFileRow[] =>
      onBehalfOf.all({ ...key, relay, limit }),
    /** What has come for a node and has not expired; `fileId` undefined: under any name. */
    forTarget: (target: string, fileId: string | undefined, nowMs: number, limit: number): SharedFileRow[] =>
      forTarget.all({ target, fileId: fileId ?? null, nowMs, limit })
  }
}

export type SharedFileStore = ReturnType<typeof createSharedFileStore>
