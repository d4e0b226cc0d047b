import type { Config } from '../../config/config.js'
import type { FileKey } from '../../values/ids.js'
import type { Logger } from '../../values/logging/logger.js'
import { createDeferredFsync, type DeferredFsync } from './deferred-fsync.js'
import { createFileLayout, type FileLayout } from './file-layout.js'
import type { FileRepository } from './file-repository.js'
import { createFolderSync } from './folder-sync.js'
import { createHeadCache, type HeadCache } from './head-cache.js'
import { createKeyLock, type KeyLock } from './key-lock.js'
import { createOwnFolders, type OwnFolders } from './own-folders.js'
import { Placement } from './placement.js'
import { createQuota, type Quota } from './quota.js'
import { createSpoolNames } from './spool-file.js'

export interface KeepingOptions {
  readonly config: Config['sharedFiles']
  readonly files: FileRepository
  readonly logger: Logger
  /** Ms since 1970. */
  readonly now: () => number
  readonly onStored: (sizeBytes: number, key: FileKey) => void
}

/** Keeps files durably in their places, and within the quota. */
export interface Keeping {
  readonly layout: FileLayout
  readonly folders: OwnFolders
  readonly files: FileRepository
  readonly syncFolder: (folder: string) => Promise<void>
  readonly lock: KeyLock
  readonly cache: HeadCache
  readonly quota: Quota
  readonly deferredFsync: DeferredFsync
  readonly placement: Placement
  readonly nextSpoolName: () => string
  readonly now: () => number
}

/** Puts the parts of this room together. */
export function createKeeping({ config, files, logger, now, onStored }: KeepingOptions): Keeping {
  const layout = createFileLayout(config.path)
  const syncFolder = createFolderSync()
  const folders = createOwnFolders(config.path, syncFolder)
  const cache = createHeadCache()
  const quota = createQuota(config)
  const deferredFsync = createDeferredFsync({ layout, files, syncFolder, logger })
  const shared = { layout, folders, files, syncFolder, deferredFsync, cache, quota, now }
  const placement = new Placement({ ...shared, onStored })
  return { ...shared, placement, lock: createKeyLock(), nextSpoolName: createSpoolNames() }
}
