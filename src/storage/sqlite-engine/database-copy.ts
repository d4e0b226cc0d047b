import { rmSync, statSync } from 'node:fs'
import type { Database } from 'better-sqlite3'
import { copyRegularFileSync, readStartSync } from '../../file-system/files/regular-file.js'
import { StorageFailure } from '../../values/failures/storage-failure.js'
import { isMissing } from '../../values/failures/system-error.js'

/** The header of a log (https://sqlite.org/fileformat2.html#the_write_ahead_log); another one each time that SQLite begins it anew. */
const LOG_HEADER_BYTES = 32
const NOTHING = Buffer.alloc(0)
const TRIES = 3

/** The bytes of a database and its log. */
export function sizeOfDatabase(file: string): number {
  return [file, `${file}-wal`].reduce((sum, path) => sum + (statSync(path, { throwIfNoEntry: false })?.size ?? 0), 0)
}

/**
 * Copies a database and its log as they are, while another process may write them: to open it there, be it for reading, could
 * make files beside it that are in that process' way. Pages that change in the database while it is copied are in the log as
 * well, until SQLite begins the log anew. So the log comes last, and where its header is another one then, all is copied again.
 * Not for a process that has the database open: it would give back its locks.
 * @returns false where the log was begun anew each time
 */
export function copyDatabase(file: string, to: string): boolean {
  const log = `${file}-wal`
  for (let tries = 0; tries < TRIES; tries += 1) {
    const begun = ifThere(() => readStartSync(log, LOG_HEADER_BYTES))
    for (const former of [to, `${to}-wal`]) rmSync(former, { force: true })
    copyRegularFileSync(file, to)
    ifThere(() => copyRegularFileSync(log, `${to}-wal`))
    if ((ifThere(() => readStartSync(log, LOG_HEADER_BYTES)) ?? NOTHING).equals(begun ?? NOTHING)) return true
  }
  return false
}

/** Reads all pages. @throws {StorageFailure} `damaged` when one is not as it should be */
export function checkPages(db: Database): void {
  const found = String(db.pragma('quick_check(1)', { simple: true }))
  if (found !== 'ok') throw new StorageFailure('damaged', found)
}

/** @returns undefined where there is no file */
function ifThere<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}
