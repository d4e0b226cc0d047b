import type { ListedKeptFile, StoredFile } from '../../../shared-files/keeping/file-record.js'
import type { FileKey } from '../../../values/ids.js'
import type { TableColumns } from './columns.js'

/** A row of `shared_files`. */
export interface FileRow extends Omit<StoredFile, 'series' | 'seriesNumber' | 'signedAtMs' | 'spool'> {
  readonly series: string | null
  readonly seriesNumber: number | null
  readonly signedAtMs: number | null
  readonly spool: string | null
}

export const KEY_COLUMNS: TableColumns<FileKey> = { target: 'target', source: 'source', fileId: 'file_id' }

/** The columns of a file as it is listed, besides its key. */
const LISTED_COLUMNS: TableColumns<Omit<ListedKeptFile, keyof FileKey>> = {
  sizeBytes: 'size_bytes',
  algorithm: 'algorithm',
  hash: 'hash',
  expiresAtMs: 'expires_at'
}

/** The columns that another version of a file changes. */
export const VERSION_COLUMNS: TableColumns<Omit<FileRow, keyof FileKey>> = {
  ...LISTED_COLUMNS,
  acceptedAtMs: 'accepted_at',
  storedAtMs: 'stored_at',
  series: 'series',
  seriesNumber: 'series_number',
  signedAtMs: 'signed_at',
  metadata: 'metadata',
  spool: 'spool',
  via: 'via'
}

export const LISTED_FILE_COLUMNS: TableColumns<ListedKeptFile> = { ...KEY_COLUMNS, ...LISTED_COLUMNS }
export const FILE_COLUMNS: TableColumns<FileRow> = { ...KEY_COLUMNS, ...VERSION_COLUMNS }

export function toStoredFile(row: FileRow): StoredFile {
  return {
    ...row,
    series: row.series ?? undefined,
    seriesNumber: row.seriesNumber ?? undefined,
    signedAtMs: row.signedAtMs ?? undefined,
    spool: row.spool ?? undefined
  }
}

export function toFileRow(file: StoredFile): FileRow {
  return {
    ...file,
    series: file.series ?? null,
    seriesNumber: file.seriesNumber ?? null,
    signedAtMs: file.signedAtMs ?? null,
    spool: file.spool ?? null
  }
}

/** The values that tell a version from others under its key. */
export interface VersionRow {
  readonly target: string
  readonly source: string
  readonly fileId: string
  readonly seenHash: string
  readonly seenVia: string
  readonly seenAcceptedAtMs: number
  readonly seenStoredAtMs: number
  readonly seenSpool: string | null
}

export function toVersionRow(file: StoredFile): VersionRow {
  return {
    target: file.target,
    source: file.source,
    fileId: file.fileId,
    seenHash: file.hash,
    seenVia: file.via,
    seenAcceptedAtMs: file.acceptedAtMs,
    seenStoredAtMs: file.storedAtMs,
    seenSpool: file.spool ?? null
  }
}
