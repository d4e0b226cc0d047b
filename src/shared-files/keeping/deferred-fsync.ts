import type { Logger } from '../../values/logger.js'
import { type FileLayout, foldersOf, type PlacedKey } from './file-layout.js'
import type { FileRepository } from './file-repository.js'

/** How long names may gather before their folders are synced: one sync serves all. */
const GATHER_MS = 250

/** When so many files wait, they are synced at once, and whoever adds another waits too. */
const MAX_WAITING = 2_048

/** Settles the records of files whose names have reached the disk, many at a time, after their senders were answered. */
export interface Settler {
  /** Resolves at once, unless too many are waiting. */
  add(spool: string, folder: string): Promise<void>
  /** The folders above this key's are new, so their own names have to reach the disk as well. */
  addNewFolder(key: PlacedKey): void
  /** Resolves once nothing waits. */
  idle(): Promise<void>
}

export interface SettlerParts {
  readonly layout: FileLayout
  readonly files: Pick<FileRepository, 'settle'>
  readonly syncFolder: (folder: string) => Promise<void>
  readonly logger: Logger
}

export function createSettler({ layout, files, syncFolder, logger }: SettlerParts): Settler {
  let spools: string[] = []
  let folders = new Set<string>()
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> | undefined

  async function settleBatch(): Promise<void> {
    const batch = spools
    const touched = folders
    spools = []
    folders = new Set()
    try {
      for (const folder of touched) await syncFolder(folder)
      await files.settle(batch)
    } catch (error) {
      logger.warn({ err: error, files: batch.length }, 'cannot fsync shared files; the next start does it again')
    }
  }

  function settleNow(): Promise<void> {
    clearTimeout(timer)
    timer = undefined
    running ??= settleBatch().finally(() => {
      running = undefined
      if (spools.length > 0) settleSoon()
    })
    return running
  }

  function settleSoon(): void {
    timer ??= setTimeout(settleNow, GATHER_MS)
  }

  return {
    async add(spool, folder) {
      spools.push(spool)
      folders.add(folder)
      if (spools.length > MAX_WAITING) await settleNow()
      else if (running === undefined) settleSoon()
    },
    addNewFolder(key) {
      for (const folder of [layout.root, ...foldersOf(layout, key)]) folders.add(folder)
    },
    async idle() {
      while (running !== undefined || spools.length > 0) await settleNow()
    }
  }
}
