import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type Database, openDatabase } from '../../../src/storage/sqlite-engine/database.js'

/** Connections to one state database in a folder of its own; each stands for a process. Closed when the test ends. */
export function stateDatabases(t: TestContext): { open(): Database } {
  const folder = mkdtempSync(join(tmpdir(), 'treeline-state-'))
  const opened: Database[] = []
  t.after(() => {
    for (const db of opened) db.close()
    rmSync(folder, { recursive: true })
  })
  return {
    open() {
      const db = openDatabase(join(folder, 'state.db'), 'state')
      opened.push(db)
      return db
    }
  }
}
