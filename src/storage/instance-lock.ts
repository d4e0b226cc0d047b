import { join } from 'node:path'
import { Sqlite } from './sqlite.js'

/**
 * Makes sure that one process alone works in `folder`: a second one would take the first one's files under way for
 * leftovers of a crash. The lock is SQLite's own, so the kernel frees it when the process ends, however it ends.
 * @returns a function that gives it back
 * @throws {Error} when another process holds it
 */
export function lockFolder(folder: string): () => void {
  const db = new Sqlite(join(folder, 'lock.db'), { timeout: 0 })
  try {
    db.pragma('locking_mode = EXCLUSIVE')
    db.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    db.close()
    throw new Error(
      `another Treeline is running with storage.path = ${folder}: stop it, or give this one another path`,
      {
        cause: error
      }
    )
  }
  return () => {
    db.close()
  }
}
