import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Database } from 'better-sqlite3'
import { rememberPlace } from '../../file-system/folders/same-place.js'
import { vanished } from '../../values/failures/disk-failure.js'

interface Place {
  readonly path: string
  readonly isSame: () => boolean
}

const places = new WeakMap<Database, readonly Place[]>()

/**
 * SQLite goes on writing into a database or a log (`-wal`) whose name is gone, and what it stores there is lost when the
 * process ends. So whoever writes asks this first. The first call, when the database is opened, remembers which files they
 * are: the log is there from then on, since it goes with the last connection alone.
 *
 * `-shm` is left alone. SQLite has it mapped, so a page of it that somebody cuts off ends the process (SIGBUS), and the next
 * start makes the file anew; without it (`locking_mode = EXCLUSIVE`) no other process could have the database open: a
 * backup while the relay runs, or a second process of the relay.
 * @throws {RelayError} STORAGE_UNUSABLE when another file, or none, has its name
 */
export function checkInPlace(db: Database): void {
  if (db.memory) return
  const known = places.get(db) ?? placesOf(db)
  places.set(db, known)
  const gone = known.find(({ isSame }) => !isSame())
  if (gone !== undefined) throw vanished(gone.path, { setting: 'storage.path', path: dirname(db.name) })
}

function placesOf({ name }: Database): Place[] {
  const log = `${name}-wal`
  const paths = existsSync(log) ? [name, log] : [name]
  return paths.map(path => ({ path, isSame: rememberPlace(path) }))
}
