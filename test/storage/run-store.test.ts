import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openDatabase } from '../../src/storage/database.js'
import { createRunStore } from '../../src/storage/run-store.js'

const NODE = {
  reached: null,
  via: null,
  exitCode: null,
  startedAtMs: null,
  durationMs: null,
  message: null,
  unreachedFrom: null,
  unreachedTo: null,
  unreachedReason: null
}

test('an end that does not know when a node began leaves that as it was', t => {
  const folder = mkdtempSync(join(tmpdir(), 'treeline-store-'))
  const db = openDatabase(join(folder, 'state.db'), 'state')
  t.after(() => {
    db.close()
    rmSync(folder, { recursive: true })
  })
  const store = createRunStore(db)
  store.insertRun({
    id: 'R1',
    state: 'running',
    askedBy: 'local',
    nodes: 'all',
    conditions: '',
    keepOutput: true,
    asynchronous: false,
    startedAtMs: 1,
    endedAtMs: null,
    waitUntilMs: null,
    counts: null
  })
  store.insertNodes('R1', [{ ...NODE, node: 'a', via: 'relay', outcome: 'queued' }])
  store.updateNodes('R1', [{ ...NODE, node: 'a', outcome: 'running', startedAtMs: 5 }])
  store.updateNodes('R1', [{ ...NODE, node: 'a', outcome: 'done', exitCode: 0, durationMs: 7 }])
  assert.deepEqual(store.nodes('R1', 10), [
    { ...NODE, node: 'a', via: 'relay', outcome: 'done', exitCode: 0, startedAtMs: 5, durationMs: 7 }
  ])
})
