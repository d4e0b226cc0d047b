import { dirname } from 'node:path'
import type { Database } from 'better-sqlite3'
import { diskFailure } from '../values/failures/disk-failure.js'
import { storageFailureKind } from '../values/failures/storage-failure.js'
import { errorMessage } from '../values/failures/system-error.js'
import { checkInPlace } from './database-file-check.js'

/** The time for which a result holds: each look is a write to the disk, and anyone may ask whether the relay is ready. */
const GOOD_FOR_MS = 5_000

/** Looks whether a database can be written to, by writing to it: a disk may refuse its pages, and take other files. */
export class DatabaseWatch {
  #problem: string | undefined
  #goodUntilMs = 0

  /** @param db whose writes never last beyond a turn of the event loop */
  constructor(
    private readonly db: Database,
    private readonly goodForMs = GOOD_FOR_MS
  ) {}

  /** Why the database cannot be read, or could not be written to a moment ago; undefined where it could. */
  problem(): string | undefined {
    const whyUnreadable = problemOf(this.db, read)
    if (whyUnreadable !== undefined) return whyUnreadable
    if (performance.now() >= this.#goodUntilMs) {
      this.#problem = problemOf(this.db, write)
      this.#goodUntilMs = performance.now() + this.goodForMs
    }
    return this.#problem
  }
}

function read(db: Database): void {
  db.pragma('user_version')
  checkInPlace(db)
}

function write(db: Database): void {
  const version = Number(db.pragma('user_version', { simple: true }))
  const timeoutMs = Number(db.pragma('busy_timeout', { simple: true }))
  db.pragma('busy_timeout = 0') // whoever else writes shows that it can be done
  try {
    db.transaction(() => db.pragma(`user_version = ${version}`)).immediate()
  } finally {
    db.pragma(`busy_timeout = ${timeoutMs}`)
  }
}

function problemOf(db: Database, use: (db: Database) => void): string | undefined {
  try {
    use(db)
    return undefined
  } catch (error) {
    if (storageFailureKind(error) === 'locked') return undefined
    const known = diskFailure(error, [{ setting: 'storage.path', path: dirname(db.name) }])
    return known?.message ?? errorMessage(error)
  }
}
