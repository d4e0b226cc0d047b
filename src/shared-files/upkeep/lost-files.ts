import { lstat, opendir } from 'node:fs/promises'
import { join } from 'node:path'
import { isMissing } from '../../values/failures/system-error.js'
import type { Logger } from '../../values/logging/logger.js'
import type { FileLayout } from '../keeping/file-layout.js'
import type { Quota } from '../keeping/quota.js'

/** The content of `lost~`, as it was counted last. */
export interface LostFiles {
  readonly folder: string
  readonly files: number
  readonly bytes: number
}

/** Counts `lost~`. Nothing there is ever removed by the relay, so it takes room until the operator removes it. */
export interface LostCounter {
  readonly found: LostFiles
  /** Counts again. Never rejects. */
  count(): Promise<void>
}

export function createLostCounter({ lost: folder }: FileLayout, quota: Quota, logger: Logger): LostCounter {
  let found: LostFiles = { folder, files: 0, bytes: 0 }
  return {
    get found() {
      return found
    },
    async count() {
      try {
        let files = 0
        let bytes = 0
        for await (const size of sizesBelow(folder)) {
          files += 1
          bytes += size
        }
        found = { folder, files, bytes }
        quota.setLost(bytes)
      } catch (error) {
        logger.warn({ err: error, folder }, 'cannot count the files in lost~')
      }
    }
  }
}

/** The sizes of all files below a folder; while it is read, the operator may remove them. */
async function* sizesBelow(folder: string): AsyncGenerator<number> {
  try {
    for await (const entry of await opendir(folder)) {
      const path = join(folder, entry.name)
      if (entry.isDirectory()) yield* sizesBelow(path)
      else yield await sizeOf(path)
    }
  } catch (error) {
    if (!isMissing(error)) throw error
  }
}

async function sizeOf(path: string): Promise<number> {
  return lstat(path).then(
    ({ size }) => size,
    error => {
      if (isMissing(error)) return 0
      throw error
    }
  )
}
