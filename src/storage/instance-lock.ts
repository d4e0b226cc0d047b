import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Database } from 'better-sqlite3'
import { asDiskFailure, errorCode } from '../values/disk-failure.js'
import { Sqlite } from './sqlite.js'

/**
 * Makes sure that one process alone works in `folder`: a second one would take the first one's files under way for
 * leftovers of a crash. The lock is SQLite's own, so the kernel frees it when the process ends, however it ends.
 * @param folder made if it is not there @param mode of a folder that is made
 * @param setting that names it @param name of the file that is locked, in it
 * @returns a function that gives it back
 * @throws {Error} when another process holds it, or the disk does not allow it
 */
export function lockFolder(folder: string, setting = 'storage.path', mode = 0o750, name = 'lock.db'): () => void {
  let db: Database | undefined
  try {
    mkdirSync(folder, { recursive: true, mode })
    db = new Sqlite(join(folder, name), { timeout: 0 })
    db.pragma('journal_mode = MEMORY') // nothing is ever written, also where the disk is full
    db.pragma('locking_mode = EXCLUSIVE')
    db.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    db?.close()
    if (errorCode(error)?.startsWith('SQLITE_BUSY') !== true) throw asDiskFailure(error, [{ setting, path: folder }])
    throw new Error(`another Treeline is running with ${setting} = ${folder}: stop it, or give this one another path`, {
      cause: error
    })
  }
  const held = db
  return () => void held.close()
}
