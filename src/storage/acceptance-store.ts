import type { Database } from './database.js'

/** Before when all files were accepted that this relay has taken; one row of `acceptance`. */
export function createAcceptanceStore(db: Database) {
  const read = db.prepare<[], number>('SELECT before FROM acceptance').pluck()
  const write = db.prepare<[number]>(
    'INSERT INTO acceptance (id, before) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET before = excluded.before'
  )
  return {
    /** In ms since 1970; 0 at the first start. */
    before: (): number => read.get() ?? 0,
    /** To be called within a group commit. */
    setBefore: (ms: number): void => void write.run(ms)
  }
}
