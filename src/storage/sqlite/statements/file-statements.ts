import type { ListedKeptFile } from '../../../shared-files/keeping/file-record.js'
import type { FileHash, Totals } from '../../../shared-files/keeping/file-repository.js'
import type { FileKey } from '../../../values/ids.js'
import type { Database } from '../../sqlite-engine/database.js'
import { FILE_COLUMNS, type FileRow, type VersionRow } from './file-rows.js'

const KEY = 'target = @target AND source = @source AND file_id = @fileId'

/** A row loses its spool once it is durable, which makes it no other version. */
const VERSION = `${KEY} AND hash = @seenHash AND via = @seenVia AND accepted_at = @seenAcceptedAtMs
  AND stored_at = @seenStoredAtMs AND (spool IS NULL OR spool IS @seenSpool)`

const AFTER = '(target, source, file_id) > (@target, @source, @fileId)'
const IN_ORDER = 'ORDER BY target, source, file_id LIMIT @limit'

export type FileStatements = ReturnType<typeof fileStatements>

/** The statements of the file repository, prepared once. */
export function fileStatements(db: Database) {
  return { ...writes(db), ...reads(db), ...pages(db), ...counts(db), ...acceptance(db) }
}

function writes(db: Database) {
  return {
    insert: db.prepare<[FileRow]>(
      `INSERT INTO shared_files (target, source, file_id, size_bytes, algorithm, hash, accepted_at, stored_at, expires_at,
         signed_at, metadata, spool, via)
       VALUES (@target, @source, @fileId, @sizeBytes, @algorithm, @hash, @acceptedAtMs, @storedAtMs, @expiresAtMs,
         @signedAtMs, @metadata, @spool, @via)
       ON CONFLICT (target, source, file_id) DO NOTHING`
    ),
    replace: db.prepare<[FileRow & VersionRow]>(
      `UPDATE shared_files SET size_bytes = @sizeBytes, algorithm = @algorithm, hash = @hash,
         accepted_at = @acceptedAtMs, stored_at = @storedAtMs, expires_at = @expiresAtMs, signed_at = @signedAtMs,
         metadata = @metadata, spool = @spool, via = @via
       WHERE ${VERSION}`
    ),
    redate: db.prepare<[VersionRow & { readonly storedAtMs: number; readonly expiresAtMs: number }]>(
      `UPDATE shared_files SET stored_at = @storedAtMs, expires_at = @expiresAtMs WHERE ${VERSION}`
    ),
    markDurable: db.prepare<[string]>('UPDATE shared_files SET spool = NULL WHERE spool = ?'),
    remove: db.prepare<[VersionRow]>(`DELETE FROM shared_files WHERE ${VERSION}`)
  }
}

function reads(db: Database) {
  return {
    find: db.prepare<[FileKey], FileRow>(`SELECT ${FILE_COLUMNS} FROM shared_files WHERE ${KEY}`),
    findHash: db.prepare<[string, string, string], FileHash>(
      'SELECT hash, expires_at AS expiresAtMs, via FROM shared_files WHERE target = ? AND source = ? AND file_id = ?'
    ),
    unsettled: db.prepare<[], FileRow>(`SELECT ${FILE_COLUMNS} FROM shared_files WHERE spool IS NOT NULL`),
    forTarget: db.prepare<[{ target: string; fileId: string | null; nowMs: number; limit: number }], ListedKeptFile>(
      `SELECT target, source, file_id AS fileId, size_bytes AS sizeBytes, algorithm, hash, expires_at AS expiresAtMs
       FROM shared_files
       WHERE target = @target AND (@fileId IS NULL OR file_id = @fileId) AND expires_at > @nowMs
       ORDER BY source, file_id LIMIT @limit`
    )
  }
}

function pages(db: Database) {
  return {
    page: db.prepare<[FileKey & { limit: number }], FileRow>(
      `SELECT ${FILE_COLUMNS} FROM shared_files WHERE ${AFTER} ${IN_ORDER}`
    ),
    pageOnBehalf: db.prepare<[FileKey & { relay: string; limit: number }], FileRow>(
      `SELECT ${FILE_COLUMNS} FROM shared_files
       WHERE via <> '' AND (via = @relay OR substr(via, 1, length(@relay) + 1) = @relay || '/') AND ${AFTER} ${IN_ORDER}`
    ),
    expired: db.prepare<[number, number, number], FileKey>(
      `SELECT target, source, file_id AS fileId FROM shared_files WHERE expires_at <= ?
       ORDER BY expires_at LIMIT ? OFFSET ?`
    )
  }
}

function counts(db: Database) {
  return {
    totals: db.prepare<[], Totals>('SELECT count(*) AS count, coalesce(sum(size_bytes), 0) AS bytes FROM shared_files')
  }
}

function acceptance(db: Database) {
  return {
    acceptanceMark: db.prepare<[], number>('SELECT before FROM acceptance').pluck(),
    raiseAcceptanceMark: db.prepare<[number]>('INSERT OR REPLACE INTO acceptance (id, before) VALUES (1, ?)')
  }
}
