import { rename } from 'node:fs/promises'
import { type FileLayout, folderOf, keyName, METADATA_SUFFIX } from '../keeping/file-layout.js'
import type { StoredFile } from '../keeping/file-record.js'
import type { FileRepository } from '../keeping/file-repository.js'
import type { HeadCache } from '../keeping/head-cache.js'
import type { KeyLock } from '../keeping/key-lock.js'
import type { OwnFolders } from '../keeping/own-folders.js'
import { storedMetadata } from '../keeping/placement.js'
import { writeShortFile } from '../keeping/spool-file.js'

/** A file that was stored so much later than now was stored before the clock was set back. */
const AHEAD_MS = 60_000

export interface StoredTimesParts {
  readonly layout: FileLayout
  readonly folders: OwnFolders
  readonly files: FileRepository
  readonly lock: KeyLock
  readonly cache: HeadCache
  readonly now: () => number
}

/**
 * The time to live of files that were stored by a clock that was ahead counts from now, by the clock as it is: else they
 * would stay for as long as it was ahead. Files that are being replaced are left out.
 */
export async function correctStoredTimes(parts: StoredTimesParts, rows: readonly StoredFile[]): Promise<void> {
  for (const row of rows) {
    if (!isStoredAhead(row, parts.now())) continue
    const release = parts.lock.tryAcquire(keyName(row))
    if (release === undefined) continue
    try {
      const current = await parts.files.find(row)
      if (current !== undefined && current.spool === undefined && isStoredAhead(current, parts.now()))
        await dateRow(parts, current)
    } finally {
      release()
    }
  }
}

/** Whether the clock was set back since a file was stored. */
export function isStoredAhead({ storedAtMs }: StoredFile, nowMs: number): boolean {
  return storedAtMs > nowMs + AHEAD_MS
}

async function dateRow(parts: StoredTimesParts, row: StoredFile): Promise<void> {
  const { files, cache, now } = parts
  const storedAtMs = now()
  const ttlMs = row.expiresAtMs - row.storedAtMs
  // someone else may have given the file a date, which says nothing of its time to live
  const dated = { ...row, storedAtMs, expiresAtMs: ttlMs > 0 ? storedAtMs + ttlMs : row.expiresAtMs }
  await writeMetadata(parts, dated)
  await files.redate(row, dated)
  cache.forget(keyName(row))
}

/** Puts the metadata of a row in place, beside its file. */
export async function writeMetadata(
  { layout, folders }: Pick<StoredTimesParts, 'layout' | 'folders'>,
  row: StoredFile
): Promise<void> {
  const temporary = `repair-${row.storedAtMs}-${row.fileId.slice(0, 100)}`
  await folders.enter(folderOf(layout, row), at =>
    folders.within(layout.incoming, async from => {
      await writeShortFile(`${from}/${temporary}`, storedMetadata(row))
      await rename(`${from}/${temporary}`, `${at}/${row.fileId}${METADATA_SUFFIX}`)
    })
  )
}
