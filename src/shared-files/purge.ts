import { stat, unlink } from 'node:fs/promises'
import { setImmediate as breathe } from 'node:timers/promises'
import type { Commit } from '../storage/group-commit.js'
import type { OutboxStore } from '../storage/outbox-store.js'
import type { SharedFileRow, SharedFileStore } from '../storage/shared-file-store.js'
import type { FileKey } from '../values/ids.js'
import type { Logger } from '../values/logger.js'
import { dateAgain } from './clock-set-back.js'
import { type FileLayout, keyName, METADATA_SUFFIX, type PlacedKey, pathOf } from './file-layout.js'
import type { HeadCache } from './head-cache.js'
import type { KeyLock } from './key-lock.js'
import type { Outbox } from './outbox.js'
import type { OwnFolders } from './own-folders.js'
import type { Quota } from './quota.js'
import { isMissing } from './storage-errors.js'

/** Rows of one step: what SQLite does for so many takes about a millisecond. */
const STEP = 64
const BEFORE_ALL: FileKey = { target: '', source: '', fileId: '' }

export interface PurgeParts {
  readonly layout: FileLayout
  readonly folders: OwnFolders
  readonly store: SharedFileStore
  readonly outboxStore: OutboxStore
  readonly outbox: Outbox
  readonly commit: Commit
  readonly lock: KeyLock
  readonly cache: HeadCache
  readonly quota: Quota
  readonly now: () => number
  readonly logger: Logger
}

interface RowsToLookAt {
  readonly after?: FileKey
  readonly maxRows?: number
  readonly isCompared?: boolean
}

/** Removes what has expired: file and metadata first, the row last, so that a crash in between only repeats it. */
export async function purgeExpired(parts: PurgeParts, signal: AbortSignal): Promise<number> {
  const { store, outboxStore, outbox, now } = parts
  const nowMs = now()
  let removed = 0
  let skipped = 0
  for (;;) {
    if (signal.aborted) return removed
    const keys = store.expired(nowMs, STEP, skipped)
    if (keys.length === 0) break
    const count = await removeIf(parts, keys, row => row.expiresAtMs <= nowMs)
    removed += count
    skipped += keys.length - count // they are busy, or cannot be removed: the next purge sees them again
    await breathe()
  }
  for (const id of outboxStore.expired(nowMs, Number.MAX_SAFE_INTEGER)) {
    if (signal.aborted) return removed
    if (await outbox.drop(id)) removed += 1
  }
  return removed
}

/**
 * Drops rows whose file has gone, removed by someone else.
 * @throws {RelayError} STORAGE_UNUSABLE when `shared_files.path` itself is gone
 * @param maxRows how many are looked at, about
 * @param isCompared whether the rows say what the files are: then those that a clock that was ahead stored are dated again
 * @returns the key after which to go on; undefined when all were looked at, or `signal` aborted
 */
export async function dropRowsWithoutFile(
  parts: PurgeParts,
  signal: AbortSignal,
  { after = BEFORE_ALL, maxRows = Number.POSITIVE_INFINITY, isCompared = false }: RowsToLookAt = {}
): Promise<FileKey | undefined> {
  const { layout, store } = parts
  let removed = 0
  let looked = 0
  let last: FileKey | undefined = after
  while (last !== undefined && looked < maxRows && !signal.aborted) {
    const rows: SharedFileRow[] = store.after(last, STEP)
    looked += rows.length
    last = rows.at(-1)
    const settled = rows.filter(row => row.spool === null)
    const gone = await filterAsync(settled, row => isGone(pathOf(layout, row)))
    if (gone.length > 0) parts.folders.check() // all seem to have gone while their disk is not mounted
    // A file may have come since: only the very row that was looked at is dropped.
    const seen = new Map(gone.map(row => [keyName(row), row.storedAtMs]))
    if (gone.length > 0) removed += await removeIf(parts, gone, row => seen.get(keyName(row)) === row.storedAtMs)
    const there = settled.filter(row => !seen.has(keyName(row)))
    if (isCompared) await dateAgain(parts, there)
    await breathe()
  }
  if (removed > 0) parts.logger.warn({ rows: removed }, 'forgot shared files that someone else removed')
  return signal.aborted ? undefined : last
}

/** Removes those files that still fit `fits` once they are locked. Files that are being replaced are left out. */
async function removeIf(
  parts: PurgeParts,
  keys: readonly FileKey[],
  fits: (row: SharedFileRow) => boolean
): Promise<number> {
  const { store, lock, cache, quota } = parts
  const locks: (() => void)[] = []
  try {
    const rows: SharedFileRow[] = []
    for (const key of keys) {
      const release = lock.tryAcquire(keyName(key))
      if (release === undefined) continue
      locks.push(release)
      const row = store.find(key)
      if (row !== undefined && fits(row)) rows.push(row)
    }
    const gone = await filterAsync(rows, row => removeFiles(parts, row))
    await parts.commit(() => {
      for (const row of gone) store.remove(row)
    })
    for (const row of gone) {
      cache.forget(keyName(row))
      quota.add(-row.sizeBytes)
    }
    return gone.length
  } finally {
    for (const release of locks) release()
  }
}

async function removeFiles({ layout, logger }: PurgeParts, key: PlacedKey): Promise<boolean> {
  const path = pathOf(layout, key)
  try {
    await removeFile(path)
    await removeFile(path + METADATA_SUFFIX)
    return true
  } catch (error) {
    logger.warn({ err: error, path }, 'cannot remove an expired shared file')
    return false
  }
}

async function removeFile(path: string): Promise<void> {
  await unlink(path).catch(error => {
    if (!isMissing(error)) throw error
  })
}

async function isGone(path: string): Promise<boolean> {
  return stat(path).then(
    () => false,
    error => isMissing(error)
  )
}

async function filterAsync<T>(items: readonly T[], test: (item: T) => Promise<boolean>): Promise<T[]> {
  const results = await Promise.all(items.map(test))
  return items.filter((_, index) => results[index])
}
