import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createTree, type Tree } from '../../src/tree/tree-service.js'
import { type Logger, silentLogger } from '../../src/values/logger.js'
import { isoTime } from '../../src/values/time/iso-time.js'
import { eventually } from '../support/eventually.js'
import { makeNodeCertificate } from '../support/node-certificates.js'
import { type TestNode, writeNodesList } from '../support/trees.js'

const TREE: readonly TestNode[] = [
  { id: 'root', policyServer: 'root' },
  { id: 'relay', policyServer: 'root' },
  { id: 'node', policyServer: 'relay' }
]

interface Files {
  readonly nodesListFile: string
  readonly nodesCertsFile: string
  /** A tree over these files; to be loaded. Closed after the test. */
  open(logger?: Logger, selfId?: string): Tree
}

function makeFiles(t: TestContext): Files {
  const folder = mkdtempSync(join(tmpdir(), 'treeline-tree-'))
  const trees: Tree[] = []
  t.after(async () => {
    for (const tree of trees) await tree.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const files = { nodesListFile: join(folder, 'nodeslist.json'), nodesCertsFile: join(folder, 'certs.pem') }
  return {
    ...files,
    open(logger = silentLogger, selfId = 'root') {
      const tree = createTree({ databaseFile: join(folder, 'topology.db'), ...files, selfId, logger })
      trees.push(tree)
      return tree
    }
  }
}

test('imports the list and the certificates, and is there again after a restart', async t => {
  const files = makeFiles(t)
  const [old, renewed] = await Promise.all([makeNodeCertificate('relay'), makeNodeCertificate('relay')])
  writeNodesList(files.nodesListFile, TREE)
  writeFileSync(files.nodesCertsFile, old.pem + renewed.pem)
  for (const start of ['new', 'unchanged']) {
    const tree = files.open()
    assert.equal(tree.current().size, 0)
    assert.equal(tree.nodeByFingerprint(old.fingerprint), undefined)
    assert.deepEqual(tree.certificatesOf('relay'), [])
    const report = await tree.load()
    assert.deepEqual(
      [report.state, report.changed, report.nodeCount, report.certificateCount],
      ['success', true, 3, 2],
      start
    )
    assert.deepEqual(tree.current().route('node'), { kind: 'down', hop: 'relay' })
    assert.deepEqual(tree.certificatesOf('relay'), [old.der, renewed.der])
    assert.deepEqual(tree.certificatesOf('node'), [])
    assert.equal(tree.nodeByFingerprint(old.fingerprint), 'relay')
    assert.equal(tree.nodeByFingerprint(Buffer.from(renewed.fingerprint, 'hex')), 'relay')
    assert.equal(tree.nodeByFingerprint('0'.repeat(64)), undefined)
    assert.equal(tree.nodeByFingerprint('rubbish'), undefined)
    await tree.close()
  }
})

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

test('a new list makes a new tree, and who holds the old one sees it whole', async t => {
  const files = makeFiles(t)
  writeNodesList(files.nodesListFile, TREE)
  const tree = files.open()
  await tree.load()
  const before = tree.current()
  const seen: number[] = []
  const stop = tree.onChange(topology => seen.push(topology.version))
  writeNodesList(files.nodesListFile, [
    { id: 'root', policyServer: 'root' },
    { id: 'other', policyServer: 'root' }
  ])
  assert.equal((await tree.reload()).changed, true)
  assert.deepEqual(before.route('node'), { kind: 'down', hop: 'relay' })
  assert.deepEqual(tree.current().route('node'), { kind: 'unknown' })
  assert.deepEqual(tree.current().route('other'), { kind: 'here' })
  assert.ok(tree.current().version > before.version)
  assert.deepEqual(seen, [tree.current().version])
  stop()
  writeNodesList(files.nodesListFile, TREE)
  await tree.reload()
  assert.equal(seen.length, 1)
})

test('unchanged files change nothing, and a changed certificate changes the tree', async t => {
  const files = makeFiles(t)
  writeNodesList(files.nodesListFile, TREE)
  const tree = files.open()
  await tree.load()
  const { version } = tree.current()
  const report = await tree.reload()
  assert.deepEqual([report.state, report.changed], ['success', false])
  assert.equal(tree.current().version, version)
  const { pem, der, fingerprint } = await makeNodeCertificate('node')
  writeFileSync(files.nodesCertsFile, pem)
  assert.equal((await tree.reload()).changed, true)
  assert.deepEqual(tree.certificatesOf('node'), [der])
  writeNodesList(files.nodesListFile, TREE.slice(0, 2))
  await tree.reload()
  assert.deepEqual(tree.certificatesOf('node'), [])
  assert.equal(tree.nodeByFingerprint(fingerprint), undefined)
})

test('a file that cannot be used leaves the tree in place and shows in the status', async t => {
  const files = makeFiles(t)
  writeNodesList(files.nodesListFile, TREE)
  const { pem } = await makeNodeCertificate('relay')
  writeFileSync(files.nodesCertsFile, pem)
  const tree = files.open()
  await tree.load()
  const before = tree.current()
  const broken: [file: 'nodesListFile' | 'nodesCertsFile', text: string | undefined, problem: RegExp][] = [
    ['nodesListFile', '{"root": {"hostname": "ro', /nodeslist\.json: it is not complete JSON/],
    ['nodesListFile', undefined, /cannot read the nodes list .*: there is no such file/],
    ['nodesListFile', '{"a": {"hostname": "a", "policy-server": "a"}}', /"a" is its own policy server/],
    ['nodesCertsFile', pem.slice(0, 100), /certs\.pem: line 1: .*cut off/],
    [
      'nodesCertsFile',
      '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
      /certs\.pem: line 1: this is no certificate/
    ]
  ]
  for (const [file, text, problem] of broken) {
    if (text === undefined) rmSync(files[file])
    else writeFileSync(files[file], text)
    const report = await tree.reload()
    assert.deepEqual([report.state, report.changed], ['error', false])
    assert.match(report.details ?? '', problem)
    assert.match(tree.status().details ?? '', problem)
    assert.equal(tree.current(), before)
    writeNodesList(files.nodesListFile, TREE)
    writeFileSync(files.nodesCertsFile, pem)
  }
  assert.equal((await tree.reload()).state, 'success')
  assert.equal(tree.status().details, undefined)
})

test('a node that cannot be used is left out with a warning, and the others are there', async t => {
  const files = makeFiles(t)
  writeNodesList(files.nodesListFile, [...TREE, { id: 'web', policyServer: 'root', hostname: 'web.1' }])
  const messages: string[] = []
  const warn: Logger['warn'] = (...parts: unknown[]) => void messages.push(JSON.stringify(parts))
  const tree = files.open({ ...silentLogger, warn })
  assert.equal((await tree.load()).nodeCount, 3)
  assert.equal(tree.current().route('web').kind, 'unknown')
  assert.ok(
    messages.some(text => text.includes('web.1')),
    messages.join()
  )
})

test('a restart with a broken list has the tree of the last import, and shows the error', async t => {
  const files = makeFiles(t)
  writeNodesList(files.nodesListFile, TREE)
  const { pem } = await makeNodeCertificate('relay')
  writeFileSync(files.nodesCertsFile, pem)
  const tree = files.open()
  await tree.load()
  await tree.close()
  writeFileSync(files.nodesListFile, '{"root": {"hostname": "ro')
  const restarted = files.open()
  const report = await restarted.load()
  assert.deepEqual([report.state, report.importedAtMs], ['error', tree.status().importedAtMs])
  assert.deepEqual(restarted.current().route('node'), { kind: 'down', hop: 'relay' })
  assert.equal(restarted.certificatesOf('relay').length, 1)
})

test('without a list, a first start has an empty tree and says why', async t => {
  const tree = makeFiles(t).open()
  const report = await tree.load()
  assert.equal(report.state, 'error')
  assert.equal(report.importedAtMs, undefined)
  assert.equal(tree.current().size, 0)
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
  assert.deepEqual(warnings, ['stored tree was damaged; imported again from the nodes list'])
  assert.ok(existsSync(`${database}.damaged~`))

  await second.close()
  damage(16 * 1024) // all but the first page
  await (await load()).close()
  assert.equal(warnings.length, 2)
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

test('certificates of strangers, of nobody and of several nodes are left out with a warning', async t => {
  const files = makeFiles(t)
  writeNodesList(files.nodesListFile, TREE)
  const certificates = await Promise.all([
    makeNodeCertificate('stranger'),
    makeNodeCertificate(),
    makeNodeCertificate('relay', 'node'),
    makeNodeCertificate('node')
  ])
  const [, , several, good] = certificates
  writeFileSync(files.nodesCertsFile, certificates.map(({ pem }) => pem).join('') + (good?.pem ?? ''))
  const logged: string[] = []
  const tree = files.open({ ...silentLogger, warn: (_, message) => logged.push(message) })
  await tree.load()
  const { warnings, certificateCount } = tree.status()
  assert.equal(certificateCount, 1)
  assert.deepEqual(logged, warnings)
  assert.match(warnings.join('\n'), /line 1 .* unknown node, "stranger".*\n.* no node id .*\n.* 2 node ids/)
  assert.equal(tree.nodeByFingerprint(several?.fingerprint ?? ''), undefined)
  assert.equal(tree.nodeByFingerprint(good?.fingerprint ?? ''), 'node')
  await tree.close()
  const restarted = files.open()
  await restarted.load()
  assert.deepEqual(restarted.status().warnings, warnings)
})

test('without a certificates file there are none, and a warning', async t => {
  const files = makeFiles(t)
  writeNodesList(files.nodesListFile, TREE)
  const tree = files.open()
  const { state, warnings } = await tree.load()
  assert.equal(state, 'success')
  assert.match(warnings.join(), /there is no certificates file/)
  assert.ok(!existsSync(files.nodesCertsFile))
})

test('reloads that are asked for while one runs become one more', async t => {
  const files = makeFiles(t)
  writeNodesList(files.nodesListFile, TREE)
  const tree = files.open()
  const first = tree.load()
  const [second, third] = [tree.reload(), tree.reload()]
  assert.equal(second, third)
  await first
  assert.equal(tree.current().size, 3)
  writeNodesList(files.nodesListFile, TREE.slice(0, 2))
  assert.equal((await tree.reload()).nodeCount, 2)
  assert.equal((await second).state, 'success')
})

test('closing waits for the import under way, and none begins afterwards', async t => {
  const files = makeFiles(t)
  writeNodesList(files.nodesListFile, TREE)
  const tree = files.open()
  const loading = tree.load()
  await tree.close()
  assert.equal((await loading).state, 'success')
  assert.match((await tree.reload()).details ?? '', /stopping/)
  assert.deepEqual(tree.certificatesOf('relay'), [])
  await tree.close()
})
