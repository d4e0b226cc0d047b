import type { FileKey } from '../../values/ids.js'
import type { SharedFilesObserver } from '../observer.js'
import type { LostCounter } from './lost-files.js'
import { dropRowsWithoutFile } from './missing-files.js'
import { type PurgeParts, purgeExpired } from './purge.js'
import { reconcile } from './reconciliation.js'
import type { Relocation } from './relocation.js'

/** Rows whose files are looked for before the first request: well below 100 ms. The rest follows beside requests. */
const ROWS_BEFORE_START = 2_048

export interface UpkeepParts extends PurgeParts {
  readonly relocation: Relocation
  readonly lost: LostCounter
  readonly stopping: AbortSignal
  readonly observer: SharedFilesObserver
}

/** Keeps folder, rows and tree in line, beside requests. */
export interface Upkeep {
  /** Whether the files of the first rows are there. */
  lookAtFirst(): Promise<void>
  /** Brings the rows in line with what happened to the folder while this relay did not run. Never rejects. */
  compare(): Promise<void>
  /** @returns how many files had expired, and are removed */
  purge(signal: AbortSignal): Promise<number>
}

export function createUpkeep(parts: UpkeepParts): Upkeep {
  const { relocation, stopping, logger, observer } = parts
  let uncheckedAfter: FileKey | undefined
  let compared: Promise<void> = Promise.resolve()

  async function compareWithDisk(): Promise<void> {
    try {
      if (uncheckedAfter !== undefined) await dropRowsWithoutFile(parts, stopping, { after: uncheckedAfter })
      await reconcile(parts, stopping)
      await relocation.moveAll(stopping)
    } catch (error) {
      logger.error({ err: error }, 'cannot compare shared files with the database')
    }
  }

  return {
    async lookAtFirst() {
      uncheckedAfter = await dropRowsWithoutFile(parts, stopping, { maxRows: ROWS_BEFORE_START })
    },
    compare() {
      compared = compareWithDisk()
      return compared
    },
    async purge(signal) {
      await compared // or it would go by the row of a file that was replaced meanwhile
      const began = performance.now()
      parts.folders.forget() // owners and modes may have been changed
      const both = AbortSignal.any([signal, stopping])
      const files = await purgeExpired(parts, both)
      await dropRowsWithoutFile(parts, both, { isCompared: true })
      await relocation.moveAll(both)
      await parts.lost.count() // the operator may have removed some
      observer.onPurged?.(files, performance.now() - began)
      return files
    }
  }
}
