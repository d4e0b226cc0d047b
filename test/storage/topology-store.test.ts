import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { openDatabase } from '../../src/storage/sqlite-engine/database.js'
import {
  type CertificateRecord,
  createTopologyStore,
  type TopologyStore
} from '../../src/storage/topology/topology-store.js'

const SOURCE = { nodesListDigest: 'list', certificatesDigest: 'certificates', importedAtMs: 1_000 }
const END = { warnings: ['one'], cache: { key: 'k', parts: new Map([['part', Uint8Array.of(1, 2, 3)]]) } }

function openStore(t: TestContext): TopologyStore {
  const folder = mkdtempSync(join(tmpdir(), 'treeline-store-'))
  const db = openDatabase(join(folder, 'topology.db'), 'topology')
  t.after(() => {
    db.close()
    rmSync(folder, { recursive: true, force: true })
  })
  return createTopologyStore(db)
}

function makeNodes(count: number) {
  return Array.from({ length: count }, (_, index) => ({
    id: `n${index}`,
    hostname: `h${index}`,
    policyServer: 'root',
    keyHash: index % 2 === 0 ? `sha256:${index}` : undefined
  }))
}

function makeCertificate(nodeId: string, text: string): CertificateRecord {
  const der = Buffer.from(text)
  return { nodeId, der, serial: '0A', fingerprint: createHash('sha256').update(der).digest() }
}

test('is empty before the first import', t => {
  const store = openStore(t)
  assert.equal(store.lastImport(), undefined)
  assert.deepEqual([...store.nodes()], [])
  assert.equal(store.cached('k').size, 0)
})

test('a tree is read as it was put, however its size fits the statements', t => {
  const store = openStore(t)
  for (const count of [0, 1, 63, 64, 65, 128, 200]) {
    const nodes = makeNodes(count)
    store.replace(SOURCE, nodes, [], () => END)
    assert.deepEqual([...store.nodes()], nodes)
    assert.equal(store.lastImport()?.nodeCount, count)
  }
  assert.equal(store.lastImport()?.generation, 7)
})

test('an import replaces nodes, certificates, cache and record', t => {
  const store = openStore(t)
  const [a, b] = [makeCertificate('n0', 'a'), makeCertificate('n0', 'b')]
  store.replace(SOURCE, makeNodes(1), [a, b], () => END)
  assert.deepEqual(store.certificatesOf('n0'), [a.der, b.der])
  assert.deepEqual(
    [...store.certificates()].map(({ fingerprint }) => fingerprint),
    [a.fingerprint, b.fingerprint]
  )
  assert.deepEqual(store.cached('k').get('part'), Buffer.of(1, 2, 3))
  assert.equal(store.cached('another').size, 0)
  const record = store.replace({ ...SOURCE, importedAtMs: 2_000 }, makeNodes(2), [], () => ({
    warnings: [],
    cache: { key: 'other', parts: new Map() }
  }))
  assert.deepEqual(record, {
    ...SOURCE,
    importedAtMs: 2_000,
    generation: 2,
    nodeCount: 2,
    certificateCount: 0,
    warnings: []
  })
  assert.deepEqual(store.lastImport(), record)
  assert.deepEqual(store.certificatesOf('n0'), [])
  assert.equal(store.cached('k').size, 0)
})

test('an import that fails at its last certificate changes nothing', t => {
  const store = openStore(t)
  store.replace(SOURCE, makeNodes(3), [makeCertificate('n0', 'a')], () => END)
  const before = store.lastImport()
  function* failing() {
    yield makeCertificate('n1', 'b')
    throw new Error('cut off')
  }
  assert.throws(() => store.replace(SOURCE, makeNodes(100), failing(), () => END), /cut off/)
  assert.deepEqual(store.lastImport(), before)
  assert.equal([...store.nodes()].length, 3)
  assert.equal(store.certificatesOf('n0').length, 1)
})
