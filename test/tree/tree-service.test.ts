import assert from 'node:assert/strict'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { type Logger, silentLogger } from '../../src/values/logging/logger.js'
import { makeNodeCertificate } from '../support/parts/node-certificates.js'
import { makeFiles, TREE } from '../support/parts/tree-import-files.js'
import { writeNodesList } from '../support/parts/trees.js'

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
