import type { SharedFileStore } from '../storage/shared-file-store.js'
import type { FileKey } from '../values/ids.js'
import type { Logger } from '../values/logger.js'
import { type FileLayout, foldersOf } from './file-layout.js'

/** When so many files wait, whoever adds another waits too. */
const MAX_WAITING = 2_048

/** Closes the rows of files whose names have reached the disk, many at a time, after their senders were answered. */
export interface Settler {
  /** Resolves at once, unless too many are waiting. */
  add(spool: string, folder: string): Promise<void>
  /** The folders above this key's are new, so their own names have to reach the disk as well. */
  addNewFolder(key: FileKey): void
  /** Resolves once nothing waits. */
  idle(): Promise<void>
}

export interface SettlerParts {
  readonly layout: FileLayout
  readonly store: SharedFileStore
  readonly commit: (work: () => void) => Promise<void>
  readonly syncFolder: (folder: string) => Promise<void>
  readonly logger: Logger
}

export function createSettler({ layout, store, commit, syncFolder, logger }: SettlerParts): Settler {
  let spools: string[] = []
  let folders = new Set<string>()
  let running: Promise<void> | undefined

  async function settleAll(): Promise<void> {
    while (spools.length > 0) {
      const batch = spools
      const touched = folders
      spools = []
      folders = new Set()
      try {
        for (const folder of touched) await syncFolder(folder)
        await commit(() => {
          for (const spool of batch) store.settle(spool)
        })
      } catch (error) {
        logger.warn({ err: error, files: batch.length }, 'cannot sync shared files; the next start does it again')
      }
    }
    running = undefined
  }

  return {
    async add(spool, folder) {
      spools.push(spool)
      folders.add(folder)
      running ??= settleAll()
      if (spools.length > MAX_WAITING) await running
    },
    addNewFolder(key) {
      for (const folder of [layout.root, ...foldersOf(layout, key)]) folders.add(folder)
    },
    idle: () => running ?? Promise.resolve()
  }
}
