import type { NeighbourRepository } from '../../hops/neighbour-repository.js'
import type { Database } from '../sqlite-engine/database.js'
import { groupCommitOf } from '../sqlite-engine/group-commit.js'

/** @param db the state database; closed by the caller */
export function createNeighbourRepository(db: Database): NeighbourRepository {
  const commit = groupCommitOf(db)
  const select = db.prepare<[], { readonly id: string; readonly version: string }>('SELECT id, version FROM neighbours')
  const upsert = db.prepare<[string, string, number]>(
    `INSERT INTO neighbours (id, version, seen_at) VALUES (?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET version = excluded.version, seen_at = excluded.seen_at`
  )
  const remove = db.prepare<[string]>('DELETE FROM neighbours WHERE id = ?')
  return {
    versions: async () => new Map(select.all().map(({ id, version }) => [id, version])),
    remember: (id, version, seenAtMs) => commit(() => void upsert.run(id, version, seenAtMs)),
    forget: id => commit(() => void remove.run(id))
  }
}
