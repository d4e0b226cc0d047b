import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { openDatabase } from '../../src/storage/sqlite-engine/database.js'
import { createTopologyStore } from '../../src/storage/topology/topology-store.js'
import { readStoredTree } from '../../src/tree/import/import-tree.js'
import { cacheKey } from '../../src/tree/index/packed-parts.js'
import { TopologyIndex } from '../../src/tree/index/topology-index.js'
import { nodesListText } from '../support/parts/trees.js'

const PROGRAM = fileURLToPath(new URL('../support/work/import-loop.ts', import.meta.url))
const NODES = 5_000
const KILLS = 8

/** The tree that a crash left, which must be one of the two that were imported, in rows and index alike. */
function checkTree(databaseFile: string): void {
  const db = openDatabase(databaseFile, 'topology')
  try {
    const store = createTopologyStore(db)
    const stored = readStoredTree(store, 'root')
    assert.ok(stored, 'there is no tree')
    const rows = [...store.nodes()]
    assert.equal(rows.length, NODES)
    assert.equal(stored.record.nodeCount, NODES)
    const digest = createHash('sha256').update(nodesListText(rows)).digest('hex')
    assert.equal(stored.record.nodesListDigest, digest, 'the record is of another import than the rows')
    assert.ok(store.cached(cacheKey('root')).size > 0, 'the index was not stored with the rows')
    assert.deepEqual(new Set(rows.map(({ hostname }) => hostname)).size, 1, 'two trees are mixed')
    const index = new TopologyIndex(stored.packed.tree, 'root', 1)
    assert.equal(index.size, NODES)
    for (const row of rows) assert.deepEqual(index.find(row.id), row)
  } finally {
    db.close()
  }
}

test('a process that is killed while it imports leaves one whole tree', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'treeline-import-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  for (let kill = 0; kill < KILLS; kill++) {
    const child = spawn(process.execPath, ['--import', 'tsx', PROGRAM, folder, String(NODES)], {
      stdio: ['ignore', 'pipe', 'inherit']
    })
    const ended = once(child, 'exit')
    await once(child.stdout, 'data')
    const beganMs = performance.now()
    await once(child.stdout, 'data')
    const importMs = performance.now() - beganMs // on this machine, as busy as it is
    await delay(Math.random() * importMs) // the moment is the point: anywhere within an import
    child.kill('SIGKILL')
    await ended
    checkTree(join(folder, 'topology.db'))
  }
})
