import assert from 'node:assert/strict'
import { mkdirSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { createTree } from '../../src/tree/tree-service.js'
import { silentLogger } from '../../src/values/logging/logger.js'
import { eventually } from '../support/eventually.js'
import { temporaryFolder } from '../support/parts/neighbours.js'
import { writeNodesList } from '../support/parts/trees.js'

test('where no database can be opened the files say what the tree is, and it is stored as soon as it can be', async t => {
  const folder = await temporaryFolder(t)
  const databaseFile = join(folder, 'topology.db')
  const nodesListFile = join(folder, 'nodeslist.json')
  writeNodesList(nodesListFile, [
    { id: 'root', policyServer: 'root' },
    { id: 'node', policyServer: 'root' }
  ])
  mkdirSync(databaseFile) // stands for a disk that is full or read-only: nothing can be opened there
  const files = { databaseFile, nodesListFile, nodesCertsFile: join(folder, 'certs.pem') }
  const open = (retryMs: number) => createTree({ ...files, selfId: 'root', logger: silentLogger, retryMs })
  const tree = open(1)
  t.after(() => tree.close())
  const report = await tree.load()
  assert.deepEqual([report.state, report.changed, tree.current().size], ['error', true, 2])
  assert.match(report.details ?? '', /cannot use the database .*topology.db: it is a folder/)

  rmdirSync(databaseFile)
  await eventually('the tree to be stored', () => tree.status().state === 'success')
  const stored = open(3_600_000)
  t.after(() => stored.close())
  assert.equal((await stored.load()).state, 'success')
  assert.equal(stored.current().size, 2)
})
