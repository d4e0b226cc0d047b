import type { StoredFile } from '../../../shared-files/keeping/file-record.js'

/** A row of `shared_files`. */
export interface FileRow extends Omit<StoredFile, 'signedAtMs' | 'spool'> {
  readonly signedAtMs: number | null
  readonly spool: string | null
}

export const FILE_COLUMNS = `target, source, file_id AS fileId, size_bytes AS sizeBytes, algorithm, hash,
  accepted_at AS acceptedAtMs, stored_at AS storedAtMs, expires_at AS expiresAtMs, signed_at AS signedAtMs, metadata,
  spool, via`

export function toStoredFile(row: FileRow): StoredFile {
  return { ...row, signedAtMs: row.signedAtMs ?? undefined, spool: row.spool ?? undefined }
}

export function toFileRow(file: StoredFile): FileRow {
  return { ...file, signedAtMs: file.signedAtMs ?? null, spool: file.spool ?? null }
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
