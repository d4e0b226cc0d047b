import { setImmediate as breathe } from 'node:timers/promises'
import type { FileKey } from '../../values/ids.js'
import type { Logger } from '../../values/logging/logger.js'
import type { Forwarding } from '../forwarding/forwarding.js'
import { keyName, type PlacedKey, pathOf } from '../keeping/file-layout.js'
import type { StoredFile } from '../keeping/file-record.js'
import type { Keeping } from '../keeping/keeping.js'
import { removeKeptFile } from '../keeping/kept-files.js'

/** Rows of one step: what SQLite does for so many takes about a millisecond. */
const STEP = 64

export interface PurgeParts
  extends Pick<Keeping, 'layout' | 'folders' | 'files' | 'lock' | 'cache' | 'quota' | 'now'>,
    Pick<Forwarding, 'outbox' | 'outboxRepository'> {
  readonly logger: Logger
}

/** Removes what has expired: file and metadata first, the row last, so that a crash in between only repeats it. */
export async function purgeExpired(parts: PurgeParts, signal: AbortSignal): Promise<number> {
  const { files, outboxRepository, outbox, now } = parts
  const nowMs = now()
  let removed = 0
  let skipped = 0
  for (;;) {
    if (signal.aborted) return removed
    const keys = await files.expired(nowMs, STEP, skipped)
    if (keys.length === 0) break
    const count = await removeIf(parts, keys, row => row.expiresAtMs <= nowMs)
    removed += count
    skipped += keys.length - count // they are busy, or cannot be removed: the next purge sees them again
    await breathe()
  }
  for (const id of await outboxRepository.expired(nowMs)) {
    if (signal.aborted) return removed
    if (await outbox.drop(id)) removed += 1
  }
  return removed
}

/** Removes those files that still fit `fits` once they are locked. Files that are being replaced are left out. */
export async function removeIf(
  parts: PurgeParts,
  keys: readonly FileKey[],
  fits: (row: StoredFile) => boolean
): Promise<number> {
  const { files, lock } = parts
  const locks: (() => void)[] = []
  try {
    const rows: StoredFile[] = []
    for (const key of keys) {
      const release = lock.tryAcquire(keyName(key))
      if (release === undefined) continue
      locks.push(release)
      const row = await files.find(key)
      if (row !== undefined && fits(row)) rows.push(row)
    }
    const gone = await filterAsync(rows, row => removeFiles(parts, row))
    await forgetRows(parts, gone)
    return gone.length
  } finally {
    for (const release of locks) release()
  }
}

/** Forgets the rows of files whose keys the caller has locked. */
export async function forgetRows({ files, cache, quota }: PurgeParts, rows: readonly StoredFile[]) {
  const removed = await files.remove(rows)
  for (const row of rows) cache.forget(keyName(row))
  for (const { sizeBytes } of removed) quota.add(-sizeBytes)
}

/** The file and its metadata. @returns whether neither is there any more; else it is logged why */
export async function removeFiles({ layout, folders, logger }: PurgeParts, key: PlacedKey): Promise<boolean> {
  try {
    await removeKeptFile(folders, layout, key)
    return true
  } catch (error) {
    logger.warn({ err: error, path: pathOf(layout, key) }, 'cannot remove a shared file')
    return false
  }
}

export async function filterAsync<T>(items: readonly T[], test: (item: T) => Promise<boolean>): Promise<T[]> {
  const results = await Promise.all(items.map(test))
  return items.filter((_, index) => results[index])
}
