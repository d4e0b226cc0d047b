import type { Config } from '../../config/config.js'
import type { Database } from '../../storage/database.js'
import { type Commit, groupCommitOf } from '../../storage/group-commit.js'
import { createSharedFileStore, type SharedFileStore } from '../../storage/shared-file-store.js'
import type { FileKey } from '../../values/ids.js'
import type { Logger } from '../../values/logger.js'
import { createSettler, type Settler } from './deferred-fsync.js'
import { createFileLayout, type FileLayout } from './file-layout.js'
import { createFolderSync } from './folder-sync.js'
import { createHeadCache, type HeadCache } from './head-cache.js'
import { createKeyLock, type KeyLock } from './key-lock.js'
import { createOwnFolders, type OwnFolders } from './own-folders.js'
import { createPlacement, type Placement } from './placement.js'
import { createQuota, type Quota } from './quota.js'
import { createSpoolNames } from './spool-file.js'

export interface KeepingOptions {
  readonly config: Config['sharedFiles']
  readonly db: Database
  readonly logger: Logger
  /** Ms since 1970. */
  readonly now: () => number
  readonly onStored: (sizeBytes: number, key: FileKey) => void
}

/** What keeps files durably in their places, and within the quota. */
export interface Keeping {
  readonly layout: FileLayout
  readonly folders: OwnFolders
  readonly store: SharedFileStore
  readonly commit: Commit
  readonly syncFolder: (folder: string) => Promise<void>
  readonly lock: KeyLock
  readonly cache: HeadCache
  readonly quota: Quota
  readonly settler: Settler
  readonly placement: Placement
  readonly nextSpoolName: () => string
  readonly now: () => number
}

/** Puts the parts of this room together. */
export function createKeeping({ config, db, logger, now, onStored }: KeepingOptions): Keeping {
  const layout = createFileLayout(config.path)
  const store = createSharedFileStore(db)
  const commit = groupCommitOf(db)
  const syncFolder = createFolderSync()
  const folders = createOwnFolders(config.path, syncFolder)
  const cache = createHeadCache()
  const quota = createQuota(config)
  const settler = createSettler({ layout, store, commit, syncFolder, logger })
  const shared = { layout, folders, store, commit, syncFolder, settler, cache, quota, now }
  const placement = createPlacement({ ...shared, onStored })
  return { ...shared, placement, lock: createKeyLock(), nextSpoolName: createSpoolNames() }
}
