import type { Database } from './database.js'

/** Longer versions are cut: the value comes from another machine. */
const MAX_VERSION_LENGTH = 64
/** A neighbour that shows another version all the time (two of them behind one name) costs no more than this. */
const MIN_UPDATE_INTERVAL_MS = 60_000

interface NeighbourRow {
  readonly id: string
  readonly version: string
  readonly seenAtMs: number
}

/** Remembers which neighbours have shown that they are Treeline relays, until they show something else. */
export interface NeighbourStore {
  /** The version that it showed last; undefined for one that showed none. In constant time, without a query. */
  version(id: string): string | undefined
  /** Durable when it returns. Writes only what is new. */
  remember(id: string, version: string, nowMs: number): void
  /**
   * It showed itself as something else. Passed over for a while after it was remembered, for the same two behind one name.
   * @returns whether something was forgotten
   */
  forget(id: string, nowMs: number): boolean
}

/** @param db the state database */
export function createNeighbourStore(db: Database): NeighbourStore {
  const selectAll = db.prepare<[], NeighbourRow>('SELECT id, version, seen_at AS seenAtMs FROM neighbours')
  const upsert = db.prepare<[string, string, number]>(
    `INSERT INTO neighbours (id, version, seen_at) VALUES (?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET version = excluded.version, seen_at = excluded.seen_at`
  )
  const remove = db.prepare<[string]>('DELETE FROM neighbours WHERE id = ?')
  const known = new Map(selectAll.all().map(row => [row.id, row]))
  return {
    version: id => known.get(id)?.version,
    remember(id, version, nowMs) {
      const kept = version.slice(0, MAX_VERSION_LENGTH)
      const before = known.get(id)
      if (before !== undefined && (before.version === kept || nowMs - before.seenAtMs < MIN_UPDATE_INTERVAL_MS)) return
      upsert.run(id, kept, nowMs)
      known.set(id, { id, version: kept, seenAtMs: nowMs })
    },
    forget(id, nowMs) {
      const before = known.get(id)
      if (before === undefined || nowMs - before.seenAtMs < MIN_UPDATE_INTERVAL_MS) return false
      remove.run(id)
      return known.delete(id)
    }
  }
}
