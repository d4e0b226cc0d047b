import type { ListedFile, QueuedFile } from '../../../shared-files/keeping/file-record.js'
import type { TableColumns } from './columns.js'

/** A row of `outbox`. */
export interface OutboxRow
  extends Omit<QueuedFile, 'series' | 'seriesNumber' | 'signedAtMs' | 'lastStatus' | 'lastError'> {
  readonly series: string | null
  readonly seriesNumber: number | null
  readonly signedAtMs: number | null
  readonly lastStatus: number | null
  readonly lastError: string | null
}

/** A row of `outbox` as it is listed. */
export type ListedRow = Pick<OutboxRow, keyof ListedFile>

export const LISTED_OUTBOX_COLUMNS: TableColumns<ListedRow> = {
  id: 'id',
  target: 'target',
  source: 'source',
  fileId: 'file_id',
  state: 'state',
  sizeBytes: 'size_bytes',
  acceptedAtMs: 'accepted_at',
  expiresAtMs: 'expires_at',
  attempts: 'attempts',
  nextAttemptAtMs: 'next_attempt_at',
  lastError: 'last_error'
}

export const OUTBOX_COLUMNS: TableColumns<OutboxRow> = {
  ...LISTED_OUTBOX_COLUMNS,
  algorithm: 'algorithm',
  hash: 'hash',
  series: 'series',
  seriesNumber: 'series_number',
  signedAtMs: 'signed_at',
  metadata: 'metadata',
  keyHash: 'key_hash',
  passed: 'passed',
  requestId: 'request_id',
  lastStatus: 'last_status'
}

export function toListedFile(row: ListedRow): ListedFile {
  return { ...row, lastError: row.lastError ?? undefined }
}

export function toQueuedFile(row: OutboxRow): QueuedFile {
  return {
    ...row,
    series: row.series ?? undefined,
    seriesNumber: row.seriesNumber ?? undefined,
    signedAtMs: row.signedAtMs ?? undefined,
    lastStatus: row.lastStatus ?? undefined,
    lastError: row.lastError ?? undefined
  }
}

export function toOutboxRow(entry: QueuedFile): OutboxRow {
  return {
    ...entry,
    series: entry.series ?? null,
    seriesNumber: entry.seriesNumber ?? null,
    signedAtMs: entry.signedAtMs ?? null,
    lastStatus: entry.lastStatus ?? null,
    lastError: entry.lastError ?? null
  }
}
