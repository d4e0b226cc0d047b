import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Database } from 'better-sqlite3'
import { PACKAGE_ROOT } from '../../process/package-root.js'
import { diskFailure } from '../../values/failures/disk-failure.js'
import { isDamage, StorageFailure, storageFailureKind } from '../../values/failures/storage-failure.js'
import { errorMessage } from '../../values/failures/system-error.js'
import { checkInPlace } from './database-file-check.js'
import { schemaVersionOf } from './database-header.js'
import { obstacleAt } from './obstacle.js'
import { oldHostName } from './old-host-names.js'
import { Sqlite } from './sqlite-driver.js'
import { whyNotOpened } from './why-not-opened.js'

export type { Database } from 'better-sqlite3'

/**
 * The two database files of a relay. The topology is a file of its own, because a worker writes a whole tree into it
 * in one transaction, and requests that record files and runs must not wait for that.
 */
export type DatabaseKind = 'topology' | 'state'

/** The use of a database: the state of an agent has runs alone. */
export type Use = DatabaseKind | 'agent'

const MIGRATION_NAME = /^(\d{4})_[a-z0-9_-]+\.sql$/

const DAMAGED = 'it is damaged, or no database. Keep it and what is beside it (-wal, -shm) elsewhere'
const ADVICE = `${DAMAGED}, and put a copy from a \
backup in its place. Started without one, the relay finds shared files again by their folder, and moves what waited for \
other relays to lost~; records of runs are gone. At the root of a tree of members, run \
"treeline nodes restore --config <folder>" before that start: it makes the members from the nodes list`
const ADVICE_OF_AGENT = `${DAMAGED}, and start the agent again: it makes a new one, and only the records of runs are gone`

const DAMAGE_ADVICE: Readonly<Partial<Record<Use, string>>> = { state: ADVICE, agent: ADVICE_OF_AGENT }

/** The advice for the time after what is in the place of the database was moved away. */
const AFTERWARDS: Readonly<Record<Use, string>> = {
  topology: 'it is made anew from the nodes list',
  state: 'put a copy from a backup in its place',
  agent: 'the agent makes a new one; only the records of runs are gone'
}

/** A newer Treeline has written the database. */
export class NewerSchemaError extends Error {
  override readonly name = 'NewerSchemaError'
}

/** How long a write waits for another process or thread that is writing, in ms. */
const BUSY_TIMEOUT_MS = 5_000

/**
 * Opens (or makes) a database and brings it to the newest schema. Durable: every commit is on disk before it returns.
 * The caller closes it.
 * @param use what it is for, for the advice where it cannot be opened
 * @throws {Error} when the file was written by a newer Treeline, or is no database
 */
export function openDatabase(file: string, schema: DatabaseKind, use: Use = schema): Database {
  let db: Database | undefined
  try {
    refuseObstacles(file)
    db = new Sqlite(file, { timeout: BUSY_TIMEOUT_MS })
    // a tree is written and read whole, which larger pages make quicker (only a new file takes this)
    if (schema === 'topology') db.pragma('page_size = 16384')
    db.pragma('journal_mode = WAL')
    db.pragma('synchronous = FULL')
    db.pragma('foreign_keys = ON')
    migrate(db, schema)
    checkInPlace(db)
    return db
  } catch (error) {
    db?.close()
    throw unusable(file, use, error)
  }
}

/**
 * Looks at the beginning of a database file without opening the database, which another process may have open.
 * @returns whether one is there: SQLite begins a new one in a file that is empty
 * @throws {Error} as {@link openDatabase} does, when it is no database or a newer Treeline wrote it; damage further on shows later
 */
export function isDatabaseThere(file: string, schema: DatabaseKind, use: Use = schema): boolean {
  try {
    refuseObstacles(file)
    const version = schemaVersionOf(file)
    if (version !== undefined) refuseNewer(version, migrationNames(schema).length)
    return version !== undefined
  } catch (error) {
    throw unusable(file, use, error)
  }
}

/** Says what to do about a database that cannot be used. @param error may come from any use of it */
export function unusable(file: string, use: Use, error: unknown): Error {
  const cause = storageFailureKind(error) === 'cannot-open' ? whyNotOpened([file, ...besides(file)]) : undefined
  const failure = diskFailure(cause ?? error, [
    { setting: 'storage.path', path: dirname(file), keeper: use === 'agent' ? 'agent' : 'relay' }
  ])
  const advice = isDamage(error) ? DAMAGE_ADVICE[use] : undefined
  const reason = adviceOnObstacle(file, use) ?? advice ?? failure?.message ?? errorMessage(error)
  return new Error(`cannot use the database ${file}: ${reason}`, { cause: error })
}

/** Refuses them before they are opened: a link leads to what its owner may not write, and a FIFO or a device does something when it is opened. */
function refuseObstacles(file: string): void {
  for (const path of [file, ...besides(file)]) {
    const what = obstacleAt(path)
    if (what !== undefined) throw new StorageFailure('cannot-open', `${path} is ${what}`)
  }
}

function adviceOnObstacle(file: string, use: Use): string | undefined {
  const what = obstacleAt(file)
  if (what !== undefined) return `it is ${what}, and should be a file: move it away, and ${AFTERWARDS[use]}`
  const beside = besides(file).find(path => obstacleAt(path) !== undefined)
  return beside && `${beside} is ${obstacleAt(beside)}, and should be a file: move it away`
}

/** The files that SQLite keeps beside a database. */
function besides(file: string): string[] {
  return ['-wal', '-shm', '-journal'].map(end => file + end)
}

function migrate(db: Database, schema: DatabaseKind): void {
  const folder = migrationsOf(schema)
  const names = migrationNames(schema)
  const done = Number(db.pragma('user_version', { simple: true }))
  refuseNewer(done, names.length)
  if (done === names.length) return
  db.function('canonical_host', { deterministic: true }, (hostname, id) => oldHostName(String(hostname), String(id)))
  const apply = db.transaction((name: string, version: number) => {
    if (Number(db.pragma('user_version', { simple: true })) >= version) return // another process was first
    db.exec(readFileSync(join(folder, name), 'utf8'))
    db.pragma(`user_version = ${version}`)
  })
  for (const [index, name] of names.entries()) {
    if (index >= done) apply.immediate(name, index + 1)
  }
}

function migrationsOf(schema: DatabaseKind): string {
  return join(PACKAGE_ROOT, 'migrations', schema)
}

function migrationNames(schema: DatabaseKind): string[] {
  return readdirSync(migrationsOf(schema))
    .filter(name => MIGRATION_NAME.test(name))
    .sort()
}

function refuseNewer(version: number, known: number): void {
  if (version <= known) return
  throw new NewerSchemaError(
    `it has schema ${version}, and this version of Treeline knows ${known}: install the newer one`
  )
}
