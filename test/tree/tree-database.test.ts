import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { openDatabase } from '../../src/storage/sqlite-engine/database.js'
import { createTree } from '../../src/tree/tree-service.js'
import { type Logger, silentLogger } from '../../src/values/logging/logger.js'
import { isoTime } from '../../src/values/time/iso-time.js'
import { eventually } from '../support/eventually.js'
import { makeNodeCertificate } from '../support/parts/node-certificates.js'
import { makeFiles, TREE } from '../support/parts/tree-import-files.js'
import { writeNodesList } from '../support/parts/trees.js'

test('the database remembers the time of the import, not of the restart', async t => {
  const files = makeFiles(t)
  writeNodesList(files.nodesListFile, TREE)
  const lines: unknown[] = []
  const first = files.open({ ...silentLogger, info: (members: unknown) => void lines.push(members) } as Logger)
  await first.load()
  const importedAt = isoTime(first.status().importedAtMs ?? 0)
  assert.ok(JSON.stringify(lines).includes(`"importedAt":"${importedAt}"`), JSON.stringify(lines))
  await first.close()
  const second = files.open()
  await second.load()
  assert.equal(second.status().importedAtMs, first.status().importedAtMs)
})

test('a relay that takes another id reads the same rows as another tree', async t => {
  const files = makeFiles(t)
  writeNodesList(files.nodesListFile, TREE)
  const { pem, fingerprint } = await makeNodeCertificate('node')
  writeFileSync(files.nodesCertsFile, pem)
  const root = files.open()
  await root.load()
  await root.close()
  const relay = files.open(silentLogger, 'relay')
  await relay.load()
  assert.deepEqual(relay.current().route('node'), { kind: 'here' })
  assert.deepEqual(relay.current().route('root'), { kind: 'up' })
  assert.equal(relay.nodeByFingerprint(fingerprint), 'node')
})

test('a database that cannot be used is an error, not a crash', async t => {
  const files = makeFiles(t)
  writeNodesList(files.nodesListFile, TREE)
  const tree = createTree({
    ...files,
    selfId: 'root',
    logger: silentLogger,
    databaseFile: dirname(files.nodesListFile)
  })
  t.after(() => tree.close())
  assert.match(
    (await tree.load()).details ?? '',
    /cannot use the database \S+: it is a folder, and should be a file: move it away, and it is made anew/
  )
})

test('a damaged database, which is only a copy, is put aside and made anew', async t => {
  const files = makeFiles(t)
  const database = join(dirname(files.nodesListFile), 'topology.db')
  const certificate = await makeNodeCertificate('relay')
  writeNodesList(files.nodesListFile, TREE)
  writeFileSync(files.nodesCertsFile, certificate.pem)
  const warnings: string[] = []
  const logger = { ...silentLogger, warn: (_: object, message: string) => void warnings.push(message) }
  const load = async () => {
    const tree = files.open(logger)
    assert.equal((await tree.load()).state, 'success')
    assert.deepEqual(tree.certificatesOf('relay'), [certificate.der])
    return tree
  }
  const damage = (from: number) => {
    const bytes = readFileSync(database)
    writeFileSync(database, bytes.fill(0xff, from))
  }
  const first = await load()
  await first.close()
  damage(0)
  const second = await load()
  assert.deepEqual(warnings, ['stored tree was damaged, or of a newer version; imported again from the nodes list'])
  assert.ok(existsSync(`${database}.damaged~`))

  await second.close()
  damage(16 * 1024) // all but the first page
  await (await load()).close()
  assert.equal(warnings.length, 2)
})

test('a database that a newer version has written is put aside and made anew as well', async t => {
  const files = makeFiles(t)
  writeNodesList(files.nodesListFile, TREE)
  const first = files.open()
  await first.load()
  await first.close()
  const database = join(dirname(files.nodesListFile), 'topology.db')
  const newer = openDatabase(database, 'topology')
  newer.exec('CREATE TABLE later (id INTEGER); PRAGMA user_version = 99')
  newer.close()
  const second = files.open()
  assert.equal((await second.load()).state, 'success')
  assert.deepEqual(second.current().route('node'), { kind: 'down', hop: 'relay' })
  assert.ok(existsSync(`${database}.damaged~`))
})

test('why SQL of the import failed is told, also from its thread', async t => {
  const files = makeFiles(t)
  writeNodesList(files.nodesListFile, TREE)
  const tree = files.open()
  await tree.load()
  const database = openDatabase(join(dirname(files.nodesListFile), 'topology.db'), 'topology')
  database.exec('ALTER TABLE nodes RENAME COLUMN hostname TO other')
  database.close()
  writeNodesList(files.nodesListFile, [...TREE, { id: 'another', policyServer: 'root' }])
  assert.match((await tree.reload()).details ?? '', /^cannot import the nodes list: .*hostname/)
})

test('a database that is damaged while it is in use is made anew as soon as that is noticed', async t => {
  const files = makeFiles(t)
  const database = join(dirname(files.nodesListFile), 'topology.db')
  const certificate = await makeNodeCertificate('relay')
  writeNodesList(files.nodesListFile, TREE)
  writeFileSync(files.nodesCertsFile, certificate.pem)
  const tree = files.open()
  await tree.load()
  writeFileSync(database, readFileSync(database).fill(0xff, 16 * 1024))
  assert.throws(() => tree.certificatesOf('relay'), {
    code: 'STORAGE_UNUSABLE',
    message: /the stored tree \S+topology\.db was damaged, and is made anew now/
  })
  await eventually('the tree, made anew', () => existsSync(`${database}.damaged~`) && tree.status().state === 'success')
  await tree.reload()
  assert.deepEqual(tree.certificatesOf('relay'), [certificate.der])
  assert.deepEqual(tree.current().route('node'), { kind: 'down', hop: 'relay' })
})
