import { join } from 'node:path'
import { Claims } from '../sqlite/claims.js'
import { createFileRepository } from '../sqlite/sqlite-files.js'
import { createLeaseRepository } from '../sqlite/sqlite-leases.js'
import { createMemberRepository } from '../sqlite/sqlite-members.js'
import { createNeighbourRepository } from '../sqlite/sqlite-neighbours.js'
import { createOutboxRepository } from '../sqlite/sqlite-outbox.js'
import { createRunRepository } from '../sqlite/sqlite-runs.js'
import { type Database, openDatabase } from '../sqlite-engine/database.js'
import { DatabaseWatch } from '../sqlite-engine/database-watch.js'
import type { RecordStorage, Repositories } from './repositories.js'

/**
 * Opens the storage of a relay or an agent. This is the one place that chooses which storage that is.
 * @param folder `storage.path`
 * @throws {Error} when it cannot be used; the message says what to do about it
 */
export function openStorage(folder: string, keeper: 'relay' | 'agent' = 'relay'): RecordStorage {
  const db = openDatabase(join(folder, 'state.db'), 'state', keeper === 'agent' ? 'agent' : 'state')
  return sqliteStorage(db)
}

/** Makes a storage of an open state database, which it closes at its end. */
export function sqliteStorage(db: Database): RecordStorage {
  const watch = new DatabaseWatch(db)
  return {
    repositories: sqliteRepositories(db),
    problem: () => watch.problem(),
    close: () => void db.close()
  }
}

/** A repository is made when it is asked for first: an agent needs one of them, and a command another. */
function sqliteRepositories(db: Database): Repositories {
  const entries = new Claims()
  const made = new Map<string, unknown>()
  const once = <Repository>(name: string, make: () => Repository): Repository => {
    if (!made.has(name)) made.set(name, make())
    return made.get(name) as Repository
  }
  return {
    get files() {
      return once('files', () => createFileRepository(db, entries))
    },
    get outbox() {
      return once('outbox', () => createOutboxRepository(db, entries))
    },
    get runs() {
      return once('runs', () => createRunRepository(db))
    },
    get neighbours() {
      return once('neighbours', () => createNeighbourRepository(db))
    },
    get leases() {
      return once('leases', () => createLeaseRepository())
    },
    get members() {
      return once('members', () => createMemberRepository(db))
    }
  }
}
