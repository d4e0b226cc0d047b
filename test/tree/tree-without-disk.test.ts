import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
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
  const logged: string[] = []
  const logger = { ...silentLogger, error: (_fields: object, message: string) => void logged.push(message) }
  const open = (retryMs: number) => createTree({ ...files, selfId: 'root', logger, retryMs })
  const tree = open(1)
  t.after(() => tree.close())
  const report = await tree.load()
  assert.deepEqual([report.state, report.changed, tree.current().size], ['error', true, 2])
  assert.match(report.details ?? '', /cannot use the database .*topology.db: it is a folder/)
  assert.deepEqual(logged.slice(0, 1), ['tree imported, but not stored; it is in force until the relay ends'])

  rmdirSync(databaseFile)
  await eventually('the tree to be stored', () => tree.status().state === 'success')
  const stored = open(3_600_000)
  t.after(() => stored.close())
  assert.equal((await stored.load()).state, 'success')
  assert.equal(stored.current().size, 2)
})

test('where the disk has no room for a changed list, the report names the folder, and the former tree stays', async t => {
  const folder = await temporaryFolder(t)
  const nodesListFile = join(folder, 'nodeslist.json')
  const node = (index: number) => ({ id: `node-${index}`, policyServer: 'root' })
  const write = (count: number) =>
    writeNodesList(nodesListFile, [
      { id: 'root', policyServer: 'root' },
      ...Array.from({ length: count }, (_, index) => node(index))
    ])
  write(1)
  const files = { databaseFile: join(folder, 'topology.db'), nodesListFile, nodesCertsFile: join(folder, 'certs.pem') }
  const logger = { ...silentLogger, error: (_fields: object, message: string) => void logged.push(message) }
  const logged: string[] = []
  const tree = createTree({ ...files, selfId: 'root', logger, retryMs: 3_600_000 })
  t.after(() => tree.close())
  await tree.load()
  write(20_000)
  const limit = (soft: string) => promisify(execFile)('prlimit', ['--pid', String(process.pid), `--fsize=${soft}:`])
  await limit('200000')
  t.after(() => limit('unlimited'))
  const report = await tree.reload()
  assert.match(report.details ?? '', /storage\.path \(\S+\)/)
  assert.equal(tree.current().size, 2)
  assert.deepEqual(logged, ['cannot import the nodes list; the former tree stays in force'])
})

test('a start with a faulty list and the stored tree of the former one says that this one stays', async t => {
  const folder = await temporaryFolder(t)
  const nodesListFile = join(folder, 'nodeslist.json')
  writeNodesList(nodesListFile, [{ id: 'root', policyServer: 'root' }])
  const logged: string[] = []
  const logger = { ...silentLogger, error: (_fields: object, message: string) => void logged.push(message) }
  const files = { databaseFile: join(folder, 'topology.db'), nodesListFile, nodesCertsFile: join(folder, 'certs.pem') }
  for (const content of [undefined, '{"root": {']) {
    if (content !== undefined) writeFileSync(nodesListFile, content)
    const tree = createTree({ ...files, selfId: 'root', logger, retryMs: 3_600_000 })
    await tree.load()
    assert.equal(tree.current().size, 1)
    await tree.close()
  }
  assert.deepEqual(logged, ['cannot import the nodes list; the former tree stays in force'])
})
