import { dirname } from 'node:path'
import type { Database } from 'better-sqlite3'
import { diskFailure } from '../../values/failures/disk-failure.js'
import { storageFailureKind } from '../../values/failures/storage-failure.js'
import { errorMessage } from '../../values/failures/system-error.js'
import { checkInPlace } from './database-file-check.js'
import { lastOutcomeOf } from './group-commit.js'

/** The time for which a result holds: each look is a write to the disk, and anyone may ask whether the relay is ready. */
const GOOD_FOR_MS = 5_000

/**
 * Looks whether a database can be written to: a disk may refuse its pages, and take other files. The commits of others
 * show it; the watch writes itself, which holds up everything else, only where there was none for a while.
 */
export class DatabaseWatch {
  #problem: string | undefined
  #knownAtMs = Number.NEGATIVE_INFINITY

  /** @param db whose writes never last beyond a turn of the event loop */
  constructor(
    private readonly db: Database,
    private readonly goodForMs = GOOD_FOR_MS
  ) {}

  /** Why the database cannot be read, or could not be written to a moment ago; undefined where it could. */
  problem(): string | undefined {
    const whyUnreadable = problemOf(this.db, read)
    if (whyUnreadable !== undefined) return whyUnreadable
    const last = lastOutcomeOf(this.db)
    if (last !== undefined && last.atMs > this.#knownAtMs) {
      this.#problem = last.error === undefined ? undefined : told(this.db, last.error)
      this.#knownAtMs = last.atMs
    }
    if (performance.now() - this.#knownAtMs >= this.goodForMs) {
      this.#problem = problemOf(this.db, write)
      this.#knownAtMs = performance.now()
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
    return told(db, error)
  }
}

function told(db: Database, error: unknown): string | undefined {
  if (storageFailureKind(error) === 'locked') return undefined
  const known = diskFailure(error, [{ setting: 'storage.path', path: dirname(db.name) }])
  return known?.message ?? errorMessage(error)
}
