import { dirname } from 'node:path'
import type { Database } from 'better-sqlite3'
import { vanished } from '../../values/failures/disk-failure.js'
import { rememberPlace } from '../../values/folders/same-place.js'

const places = new WeakMap<Database, () => boolean>()

/**
 * SQLite goes on writing into a database file whose name is gone, and what it stores there is lost when the process ends.
 * So whoever writes asks this first. The first call, when the database is opened, remembers which file it is.
 * @throws {RelayError} STORAGE_UNUSABLE when another file, or none, has its name
 */
export function checkInPlace(db: Database): void {
  if (db.memory) return
  let isInPlace = places.get(db)
  if (isInPlace === undefined) {
    isInPlace = rememberPlace(db.name)
    places.set(db, isInPlace)
  }
  if (!isInPlace()) throw vanished(db.name, { setting: 'storage.path', path: dirname(db.name) })
}
