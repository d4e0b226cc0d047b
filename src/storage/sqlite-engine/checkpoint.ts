import type { Database } from './database.js'

/** Holds all pages of a tree of 100,000 nodes, so that none of them is written before the commit. */
const CACHE_KIB = 64 * 1024

/** Readies a connection for one large transaction; what it commits stays in the log until {@link checkpoint}. */
export function holdBackCheckpoints(db: Database): void {
  db.pragma(`cache_size = -${CACHE_KIB}`)
  db.pragma('wal_autocheckpoint = 0')
}

/** Moves what was committed from the log into the database, and empties the log. */
export function checkpoint(db: Database): void {
  db.pragma('wal_checkpoint(TRUNCATE)')
}
