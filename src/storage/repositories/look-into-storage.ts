import { join } from 'node:path'
import { temporaryProblem, withTemporaryFolder } from '../../file-system/folders/temporary-folder.js'
import { whyNotRead } from '../../values/failures/file-failure.js'
import { isDamage, storageFailureKind } from '../../values/failures/storage-failure.js'
import { asError, errorCode, errorMessage } from '../../values/failures/system-error.js'
import { type Database, openDatabase, type Use, unusable } from '../sqlite-engine/database.js'
import { checkPages, copyDatabase, sizeOfDatabase } from '../sqlite-engine/database-copy.js'
import { sqliteStorage } from './open-storage.js'
import type { Repositories } from './repositories.js'

/** A larger database takes too much of /tmp, which may be memory. */
const MAX_BYTES = 256 * 1024 * 1024

/** Looks at the records. Rejects with what is wrong. */
export type Look = (repositories: Repositories) => Promise<void>

/** The problems that were found; the notes name what was not looked at, and say why. */
export interface Found {
  readonly problems: readonly string[]
  readonly notes: readonly string[]
}

/**
 * Opens a copy of the storage of a relay or agent, which may be at work, and looks into it: files, locks and folder of the storage
 * stay as they are. A problem counts when a second copy has it as well: what a look compares the records with may
 * have changed after the first one.
 * @param folder `storage.path`, with a database in it
 * @param looks beside the one at all pages
 */
export async function lookIntoStorage(
  folder: string,
  keeper: 'relay' | 'agent',
  looks: readonly Look[],
  maxBytes = MAX_BYTES
): Promise<Found> {
  const file = join(folder, 'state.db')
  const notLookedAt = (reason: string) => ({ problems: [], notes: [`${file} was not looked into: ${reason}`] })
  try {
    if (sizeOfDatabase(file) > maxBytes) return notLookedAt(`it has more than ${maxBytes} bytes`)
    const use = keeper === 'agent' ? 'agent' : 'state'
    const first = await problemsOfCopy(file, use, looks)
    const second = first === undefined || first.length === 0 ? first : await problemsOfCopy(file, use, looks)
    if (second === undefined) return notLookedAt('it changed each time it was copied; try again in a moment')
    return { problems: second.filter(problem => first?.includes(problem)), notes: [] }
  } catch (error) {
    return notLookedAt(whyNotLookedAt(error, file))
  }
}

/** The copy may find no room, or the original may not be read. */
function whyNotLookedAt(error: unknown, file: string): string {
  const code = storageFailureKind(error) === 'full' ? 'ENOSPC' : errorCode(error)
  const path = error instanceof Error && 'path' in error ? String(error.path) : ''
  if (path === file || path === `${file}-wal`) return whyNotRead(error)
  return code === undefined ? errorMessage(error) : temporaryProblem(code, error)
}

/**
 * @returns undefined where no copy could be made, as the database changed
 * @throws {Error} when there is no room for the copy, or the original cannot be read
 */
function problemsOfCopy(file: string, use: Use, looks: readonly Look[]): Promise<string[] | undefined> {
  return withTemporaryFolder('treeline-look', async folder => {
    const copy = join(folder, 'state.db')
    if (!copyDatabase(file, copy)) return undefined
    const opened = openCopy(copy, file, use)
    if (typeof opened === 'string') return [opened]
    const problems: string[] = []
    try {
      const { repositories } = sqliteStorage(opened)
      for (const look of [...looks, async () => checkPages(opened)]) {
        try {
          await look(repositories)
        } catch (error) {
          refuseDiskFailure(error)
          problems.push(isDamage(error) ? unusable(file, use, error).message : errorMessage(error))
        }
      }
      return problems
    } finally {
      opened.close()
    }
  })
}

/** @returns the database; or why it cannot be used, by the name of the original */
function openCopy(copy: string, file: string, use: Use): Database | string {
  try {
    return openDatabase(copy, 'state', use)
  } catch (error) {
    const cause = asError(error).cause ?? error
    refuseDiskFailure(cause)
    return unusable(file, use, cause).message
  }
}

/** @throws {unknown} the failure of the disk with the copy, which says nothing of the original */
function refuseDiskFailure(error: unknown): void {
  if (storageFailureKind(error) !== undefined && !isDamage(error)) throw error
}
