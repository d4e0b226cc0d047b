import type { Database } from './database.js'

/** Longer versions are cut: the value comes from another machine. */
const MAX_VERSION_LENGTH = 64
/** A neighbour that shows another version all the time (two of them behind one name) costs no more than this. */
const MIN_UPDATE_INTERVAL_MS = 60_000

interface NeighbourRow {
  readonly id: string
  readonly version: string
}

/** Remembers which neighbours have shown that they are Treeline relays, until they show something else. */
export interface NeighbourStore {
  /** The version that it showed last; undefined for one that showed none. In constant time, without a query. */
  version(id: string): string | undefined
  /**
   * Durable when it returns. Writes only what is new.
   * @param nowMs since 1970, which is stored
   */
  remember(id: string, version: string, nowMs: number): void
  /**
   * It showed itself as something else. Passed over for a while after it was remembered, for the same two behind one name.
   * @returns whether something was forgotten
   */
  forget(id: string): boolean
}

/**
 * @param db the state database
 * @param clock ms of a clock that only goes forward
 */
export function createNeighbourStore(db: Database, clock = () => performance.now()): NeighbourStore {
  const selectAll = db.prepare<[], NeighbourRow>('SELECT id, version FROM neighbours')
  const upsert = db.prepare<[string, string, number]>(
    `INSERT INTO neighbours (id, version, seen_at) VALUES (?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET version = excluded.version, seen_at = excluded.seen_at`
  )
  const remove = db.prepare<[string]>('DELETE FROM neighbours WHERE id = ?')
  const known = new Map(selectAll.all().map(row => [row.id, row.version]))
  /** When this process last wrote one of them. */
  const writtenAtMs = new Map<string, number>()
  const isWrittenNow = (id: string) =>
    clock() - (writtenAtMs.get(id) ?? Number.NEGATIVE_INFINITY) < MIN_UPDATE_INTERVAL_MS
  return {
    version: id => known.get(id),
    remember(id, version, nowMs) {
      const kept = version.slice(0, MAX_VERSION_LENGTH)
      const before = known.get(id)
      if (before !== undefined && (before === kept || isWrittenNow(id))) return
      upsert.run(id, kept, nowMs)
      known.set(id, kept)
      writtenAtMs.set(id, clock())
    },
    forget(id) {
      if (!known.has(id) || isWrittenNow(id)) return false
      remove.run(id)
      writtenAtMs.delete(id)
      return known.delete(id)
    }
  }
}
