import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Database } from 'better-sqlite3'
import { PACKAGE_ROOT } from '../values/package-root.js'
import { Sqlite } from './sqlite.js'

export type { Database } from 'better-sqlite3'

/**
 * The two database files of a relay. The topology is a file of its own, because a worker writes a whole tree into it
 * in one transaction, and requests that record files and runs must not wait for that.
 */
export type Schema = 'topology' | 'state'

const MIGRATION_NAME = /^(\d{4})_[a-z0-9_-]+\.sql$/

/** How long a write waits for another process or thread that is writing, in ms. */
const BUSY_TIMEOUT_MS = 5_000

/**
 * Opens (or makes) a database and brings it to the newest schema. Durable: every commit is on disk before it returns.
 * The caller closes it.
 * @throws {Error} when the file was written by a newer Treeline, or is no database
 */
export function openDatabase(file: string, schema: Schema): Database {
  const db = new Sqlite(file, { timeout: BUSY_TIMEOUT_MS })
  try {
    // a tree is written and read whole, which larger pages make quicker (only a new file takes this)
    if (schema === 'topology') db.pragma('page_size = 16384')
    db.pragma('journal_mode = WAL')
    db.pragma('synchronous = FULL')
    db.pragma('foreign_keys = ON')
    migrate(db, schema)
    return db
  } catch (error) {
    db.close()
    throw new Error(`cannot use the database ${file}: ${String(error)}`, { cause: error })
  }
}

function migrate(db: Database, schema: Schema): void {
  const folder = join(PACKAGE_ROOT, 'migrations', schema)
  const names = readdirSync(folder)
    .filter(name => MIGRATION_NAME.test(name))
    .sort()
  const done = Number(db.pragma('user_version', { simple: true }))
  if (done > names.length) {
    throw new Error(`it has schema ${done}, and this version of Treeline knows ${names.length}: install the newer one`)
  }
  const apply = db.transaction((name: string, version: number) => {
    if (Number(db.pragma('user_version', { simple: true })) >= version) return // another process was first
    db.exec(readFileSync(join(folder, name), 'utf8'))
    db.pragma(`user_version = ${version}`)
  })
  for (const [index, name] of names.entries()) {
    if (index >= done) apply.immediate(name, index + 1)
  }
}

/** Why a database cannot be read any more, or undefined while it can. */
export function databaseProblem(db: Database): string | undefined {
  try {
    db.pragma('user_version')
    return undefined
  } catch (error) {
    return String(error)
  }
}
