import type { Logger } from '../../values/logging/logger.js'
import { type FileLayout, foldersOf, type PlacedKey } from './file-layout.js'
import type { FileRepository } from './file-repository.js'

/** How long names may gather before their folders are synced: one sync serves all. */
const GATHER_MS = 250

/** When so many files wait, they are synced at once, and whoever adds another waits too. */
const MAX_WAITING = 2_048

/**
 * Syncs the folders of files that were answered already, many at a time, and then marks their records as durable: a
 * crash before that has the start sync them.
 */
export interface DeferredFsync {
  /** Resolves at once, unless too many are waiting. */
  add(spool: string, folder: string): Promise<void>
  /** The folders above this key's are new, so their own names have to reach the disk as well. */
  addNewFolder(key: PlacedKey): void
  /** Resolves once nothing waits. */
  idle(): Promise<void>
}

export interface DeferredFsyncParts {
  readonly layout: FileLayout
  readonly files: Pick<FileRepository, 'markDurable'>
  readonly syncFolder: (folder: string) => Promise<void>
  readonly logger: Logger
}

export function createDeferredFsync({ layout, files, syncFolder, logger }: DeferredFsyncParts): DeferredFsync {
  let spools: string[] = []
  let folders = new Set<string>()
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> | undefined

  async function syncBatch(): Promise<void> {
    const batch = spools
    const touched = folders
    spools = []
    folders = new Set()
    try {
      for (const folder of touched) await syncFolder(folder)
      await files.markDurable(batch)
    } catch (error) {
      logger.warn({ err: error, files: batch.length }, 'cannot fsync shared files; the next start does it again')
    }
  }

  function syncNow(): Promise<void> {
    clearTimeout(timer)
    timer = undefined
    running ??= syncBatch().finally(() => {
      running = undefined
      if (spools.length > 0) syncSoon()
    })
    return running
  }

  function syncSoon(): void {
    timer ??= setTimeout(syncNow, GATHER_MS)
  }

  return {
    async add(spool, folder) {
      spools.push(spool)
      folders.add(folder)
      if (spools.length > MAX_WAITING) await syncNow()
      else if (running === undefined) syncSoon()
    },
    addNewFolder(key) {
      for (const folder of [layout.root, ...foldersOf(layout, key)]) folders.add(folder)
    },
    async idle() {
      while (running !== undefined || spools.length > 0) await syncNow()
    }
  }
}
