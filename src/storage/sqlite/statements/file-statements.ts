import type { ListedKeptFile } from '../../../shared-files/keeping/file-record.js'
import type { AcceptanceMark, FileHash, Totals } from '../../../shared-files/keeping/file-repository.js'
import type { FileKey } from '../../../values/ids.js'
import type { Database } from '../../sqlite-engine/database.js'
import { insertInto, selectList, setList } from './columns.js'
import {
  FILE_COLUMNS,
  type FileRow,
  KEY_COLUMNS,
  LISTED_FILE_COLUMNS,
  VERSION_COLUMNS,
  type VersionRow
} from './file-rows.js'

const COLUMNS = selectList(FILE_COLUMNS)
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
      `${insertInto('shared_files', FILE_COLUMNS)} ON CONFLICT (target, source, file_id) DO NOTHING`
    ),
    replace: db.prepare<[FileRow & VersionRow]>(`UPDATE shared_files SET ${setList(VERSION_COLUMNS)} WHERE ${VERSION}`),
    redate: db.prepare<[VersionRow & { readonly storedAtMs: number; readonly expiresAtMs: number }]>(
      `UPDATE shared_files SET stored_at = @storedAtMs, expires_at = @expiresAtMs WHERE ${VERSION}`
    ),
    markDurable: db.prepare<[string]>('UPDATE shared_files SET spool = NULL WHERE spool = ?'),
    remove: db.prepare<[VersionRow]>(`DELETE FROM shared_files WHERE ${VERSION}`)
  }
}

function reads(db: Database) {
  return {
    find: db.prepare<[FileKey], FileRow>(`SELECT ${COLUMNS} FROM shared_files WHERE ${KEY}`),
    findHash: db.prepare<[string, string, string], FileHash>(
      'SELECT hash, expires_at AS expiresAtMs, via FROM shared_files WHERE target = ? AND source = ? AND file_id = ?'
    ),
    unsettled: db.prepare<[], FileRow>(`SELECT ${COLUMNS} FROM shared_files WHERE spool IS NOT NULL`),
    forTarget: db.prepare<[{ target: string; fileId: string | null; nowMs: number; limit: number }], ListedKeptFile>(
      `SELECT ${selectList(LISTED_FILE_COLUMNS)} FROM shared_files
       WHERE target = @target AND (@fileId IS NULL OR file_id = @fileId) AND expires_at > @nowMs
       ORDER BY source, file_id LIMIT @limit`
    )
  }
}

function pages(db: Database) {
  return {
    page: db.prepare<[FileKey & { limit: number }], FileRow>(
      `SELECT ${COLUMNS} FROM shared_files WHERE ${AFTER} ${IN_ORDER}`
    ),
    pageOnBehalf: db.prepare<[FileKey & { relay: string; limit: number }], FileRow>(
      `SELECT ${COLUMNS} FROM shared_files
       WHERE via <> '' AND (via = @relay OR substr(via, 1, length(@relay) + 1) = @relay || '/') AND ${AFTER} ${IN_ORDER}`
    ),
    expired: db.prepare<[number, number, number], FileKey>(
      `SELECT ${selectList(KEY_COLUMNS)} FROM shared_files WHERE expires_at <= ?
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
    acceptanceMark: db.prepare<[], AcceptanceMark>('SELECT series, before FROM acceptance'),
    raiseAcceptanceMark: db.prepare<[string, number]>(
      'INSERT OR REPLACE INTO acceptance (id, series, before) VALUES (1, ?, ?)'
    )
  }
}
