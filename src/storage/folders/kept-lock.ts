import { type FSWatcher, watch } from 'node:fs'
import { join } from 'node:path'
import { rememberPlace } from '../../file-system/folders/same-place.js'
import type { OwnFolder } from './folder-kinds.js'
import { FolderInUseError, lockFolder } from './instance-lock.js'

/** The time between two looks, where the system reports no changes. */
const LOOK_EVERY_MS = 10_000
/**
 * The time before a lock is made anew. A command that removes the whole folder removes the lock on the way: a new one
 * would be in the way of that.
 */
const SETTLE_MS = 200

/**
 * Locks a folder, and keeps it locked: a lock file that somebody removes or replaces is made and locked again as soon as
 * that is seen. Otherwise a second process would lock a new one, and take the first one's files for leftovers.
 * @param onLost called once, when another process was faster
 * @returns a function that gives it back
 * @throws {Error} as {@link lockFolder}
 */
export function keepLocked(
  { path, setting, mode, lockName }: OwnFolder,
  onLost: (error: FolderInUseError) => void
): () => void {
  const file = join(path, lockName)
  let release = lockFolder(path, setting, mode, lockName)
  const isFolder = rememberPlace(path)
  let isLock = rememberPlace(file)
  let soon: NodeJS.Timeout | undefined
  let watcher = watchFile(file, lookSoon)
  const timer = setInterval(look, LOOK_EVERY_MS).unref()

  function lookSoon(): void {
    clearTimeout(soon)
    soon = setTimeout(look, SETTLE_MS).unref()
  }

  function look(): void {
    try {
      if (isLock() || !isFolder()) return // nothing is made in a folder that was put in the place of ours
      const next = lockFolder(path, setting, mode, lockName)
      release()
      release = next
      isLock = rememberPlace(file)
      watcher?.close()
      watcher = watchFile(file, lookSoon)
    } catch (error) {
      if (!(error instanceof FolderInUseError)) return // the disk refuses, a look too: it is tried again
      stopLooking()
      onLost(error)
    }
  }

  function stopLooking(): void {
    clearInterval(timer)
    clearTimeout(soon)
    watcher?.close()
  }

  return () => {
    stopLooking()
    release()
  }
}

/** @returns undefined where the system cannot watch any more files */
function watchFile(file: string, onChange: () => void): FSWatcher | undefined {
  try {
    return watch(file, { persistent: false }, onChange).on('error', () => undefined)
  } catch {
    return undefined
  }
}
