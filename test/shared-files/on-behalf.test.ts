import assert from 'node:assert/strict'
import { cpSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { RELAYD } from '../../src/hops/dialect.js'
import type { Topology } from '../../src/tree/topology.js'
import {
  originOf,
  outcome,
  type SignedBytes,
  sign,
  startSharedFiles,
  statedAt,
  TestHop,
  type TestRelay,
  topologyOf
} from '../support/parts/shared-file-relays.js'
import { AT_OLD, content, isThere, node, SIGNAL, shared, TREE, until } from '../support/relays/existing-relays.js'

const AT_DEEP = 'old/shared-files/deep/shared-files/n3/files/n1/f'

function existingRelay(id: string): TestHop {
  const hop = new TestHop(id)
  hop.dialect = RELAYD
  hop.answer = () => outcome(404, 'unknown node')
  return hop
}

/** A relay with two existing ones below, and a tree that may be changed. */
async function startAbove(
  t: TestContext,
  options: { folder?: string; config?: { maxTotalBytes: number; maxFilesPerSource?: number } } = {}
) {
  const [old, other] = [existingRelay('old'), existingRelay('other')]
  let tree: Topology = topologyOf('root', TREE)
  const relay = await startSharedFiles(t, { ...options, hops: [old, other], topology: () => tree })
  const move = (id: string, policyServer: string) => {
    tree = topologyOf(
      'root',
      TREE.map(one => (one.id === id ? node(id, policyServer) : one))
    )
  }
  return { relay, old, other, move }
}

async function countOf(relay: TestRelay): Promise<number[]> {
  const { files, bytes } = await relay.files.status()
  return [files, bytes]
}

test('what is kept for an existing relay lies where its agent fetches it, and for one below that within', async t => {
  const { relay } = await startAbove(t, { config: { maxTotalBytes: 3_000 } })
  const [near, far] = [sign('n2/n1/f', 'near'), sign('n3/n1/f', 'far')]
  for (const [file, path] of [
    [near, AT_OLD],
    [far, AT_DEEP]
  ] as const) {
    assert.equal(await relay.head(file), false)
    assert.equal(await relay.put(file, { query: { ttl: '60' } }), 'stored')
    assert.equal(readFileSync(shared(relay, path), 'utf8'), String(file.content))
    assert.match(content(relay, `${path}.metadata`), /^expires=\d+$/m)
    assert.equal(await relay.head(file), true)
    assert.equal(await relay.head(file, 'ff'), false)
    const got = await relay.files.get(file.key, originOf(), {})
    assert.ok(got.kind === 'kept' && readFileSync(got.path).equals(file.content))
  }
  assert.deepEqual(readdirSync(shared(relay)).sort(), ['.incoming~', '.outbox~', 'old'])
  assert.equal((await relay.files.status()).bytes, 7)
  await assert.rejects(relay.put(sign('n2/n1/more', Buffer.alloc(3_000))), { code: 'STORAGE_FULL' }, 'it counts')
  relay.clock.nowMs += 60_000
  assert.equal(await relay.head(far), false)
  assert.equal(await relay.files.purgeExpired(SIGNAL), 2)
  for (const path of [AT_OLD, AT_DEEP]) assert.equal(isThere(relay, path), false)
  assert.equal((await relay.files.status()).bytes, 0)
})

test('it counts for its source and in all: replaced, in another place, after a restart, found again, and purged', async t => {
  const config = { maxTotalBytes: 5_000, maxFilesPerSource: 2 }
  const [third, large] = [sign('n2/n1/third', 'third'), sign('n2/o1/large', Buffer.alloc(5_000))]
  const assertCounts = async (relay: TestRelay, bytes: number) => {
    assert.equal((await relay.files.status()).bytes, bytes)
    await assert.rejects(relay.put(third), /^RelayError: n1 has 2 files here already, .*max_files_per_source/)
    await assert.rejects(relay.put(large), new RegExp(`no room for .*max_total_size is 5000, and ${bytes} are in use`))
  }
  const { relay: first, move } = await startAbove(t, { config })
  for (const file of [sign('n2/n1/f', 'near'), sign('n3/n1/f', 'far')]) assert.equal(await first.put(file), 'stored')
  await assertCounts(first, 7)
  first.clock.nowMs += 1
  assert.equal(await first.put(sign('n2/n1/f', 'nearer')), 'stored', 'it gives way to the newer one')
  await assertCounts(first, 9)
  for (const policyServer of ['other', 'old']) {
    move('n2', policyServer)
    await first.files.purgeExpired(SIGNAL)
    assert.equal(content(first, `${policyServer}/shared-files/n2/files/n1/f`), 'nearer')
    await assertCounts(first, 9)
  }
  await first.stop()

  const { relay: second } = await startAbove(t, { config, folder: first.folder })
  await assertCounts(second, 9)
  second.db.exec('DELETE FROM shared_files')
  await second.stop()

  const { relay: last } = await startAbove(t, { config, folder: first.folder })
  last.files.start()
  await until(async () => (await last.files.status()).files === 2)
  await assertCounts(last, 9)
  last.clock.nowMs += 3_700_000
  assert.equal(await last.files.purgeExpired(SIGNAL), 2)
  assert.equal(await last.put(third), 'stored')
  await assert.rejects(last.put(large), /and 5 are in use/)
})

test('it is put in place after a crash, and adopted where its row is lost', async t => {
  const { relay: first } = await startAbove(t)
  const file = sign('n3/n1/f', 'hello')
  await first.put(file)
  await first.files.stop()
  first.db.prepare("UPDATE shared_files SET spool = 'abc-1'").run()
  await first.stop()
  renameSync(shared(first, AT_DEEP), shared(first, '.incoming~/abc-1'))
  rmSync(shared(first, 'old'), { recursive: true })
  const { relay: second } = await startAbove(t, { folder: first.folder })
  assert.equal(content(second, AT_DEEP), 'hello')
  assert.equal(await second.head(file), true)
  await second.files.stop()
  second.db.exec('DELETE FROM shared_files')
  await second.stop()
  const { relay: third } = await startAbove(t, { folder: first.folder })
  assert.equal(await third.head(file), false)
  third.files.start()
  await until(() => third.head(file))
  third.clock.nowMs += 3_700_000
  assert.equal(await third.files.purgeExpired(SIGNAL), 1)
  assert.equal(isThere(third, AT_DEEP), false)
})

test('a newer copy that the relay takes itself leaves no older one for its agent to fetch', async t => {
  const { relay, old } = await startAbove(t)
  const [first, second, third] = ['one', 'two', 'three'].map(text => sign('n2/n1/f', text)) as [
    SignedBytes,
    SignedBytes,
    SignedBytes
  ]
  await relay.put(first)
  old.answer = ({ method }) => outcome(method === 'PUT' ? 200 : 404)
  relay.clock.nowMs += 1
  assert.equal(await relay.put(second), 'stored')
  assert.equal(isThere(relay, AT_OLD), false)
  assert.deepEqual(await countOf(relay), [0, 0])

  old.answer = () => outcome(404, 'unknown node')
  relay.clock.nowMs += 1
  assert.equal(await relay.put(third), 'stored')
  const puts = old.requests.length
  const caller = { kind: 'relay', id: 'other', address: '10.0.0.1' } as const
  const late = { ...statedAt(relay.clock.nowMs - 1), origin: originOf(caller) }
  assert.equal(await relay.put(second, late), 'superseded')
  assert.equal(old.requests.length, puts, 'the relay is not given the older one either')
  assert.equal(content(relay, AT_OLD), 'three')

  relay.files.start()
  old.goAway()
  relay.clock.nowMs += 1
  assert.equal(await relay.put(first), 'pending')
  old.answer = () => outcome(200)
  await relay.files.outbox.retry()
  await until(async () => (await relay.files.status()).outboxPending === 0)
  assert.equal(isThere(relay, AT_OLD), false)
})

test('what an earlier version kept under the path of the target itself is moved at start', async t => {
  const { relay: first } = await startAbove(t)
  const file = sign('n2/n1/f', 'hello')
  await first.put(file)
  await first.stop()
  mkdirSync(shared(first, 'n2'), { recursive: true })
  renameSync(shared(first, 'old/shared-files/n2/files'), shared(first, 'n2/files'))
  const { relay } = await startAbove(t, { folder: first.folder })
  relay.db.exec("UPDATE shared_files SET via = ''")
  relay.files.start()
  await until(() => relay.head(file))
  assert.equal(content(relay, AT_OLD), 'hello')
  await relay.files.stop()
  assert.equal(isThere(relay, 'n2/files/n1/f'), false)
  assert.equal((await relay.files.status()).bytes, 5)
})

test('a node that moves takes its files along: to another existing relay, and to this one', async t => {
  const { relay, move } = await startAbove(t)
  const file = sign('n2/n1/f', 'hello')
  await relay.put(file)
  for (const [policyServer, path, before] of [
    ['other', 'other/shared-files/n2/files/n1/f', AT_OLD],
    ['root', 'n2/files/n1/f', 'other/shared-files/n2/files/n1/f']
  ] as const) {
    move('n2', policyServer)
    assert.equal(await relay.head(file), false, 'it is not where it belongs')
    assert.equal(await relay.files.purgeExpired(SIGNAL), 0)
    assert.equal(await relay.head(file), true)
    assert.equal(content(relay, path), 'hello')
    assert.equal(isThere(relay, before), false)
  }
  assert.deepEqual(await countOf(relay), [1, 5])
})

test('of two copies, one at a place that the file has left, the newer one stays', async t => {
  const { relay: first } = await startAbove(t)
  const file = sign('n2/n1/f', 'hello')
  await first.put(file)
  const other = 'other/shared-files/n2/files/n1/f'
  cpSync(shared(first, 'old'), shared(first, 'other'), { recursive: true, preserveTimestamps: true })
  await first.stop()
  const start = async (change: string) => {
    const { relay } = await startAbove(t, { folder: first.folder })
    relay.db.exec(change)
    relay.files.start()
    await until(() => isThere(relay, other) === false)
    await relay.stop()
    assert.equal(content(relay, AT_OLD), 'hello')
    return relay.db
  }
  await start('UPDATE shared_files SET stored_at = stored_at + 10')
  cpSync(shared(first, 'old'), shared(first, 'other'), { recursive: true })
  await start('UPDATE shared_files SET stored_at = stored_at - 100000')
})

test('what an unknown caller says of the relays passed is good for refusing alone', async t => {
  const { relay } = await startAbove(t)
  const caller = { kind: 'proxied', address: '127.0.0.1' } as const
  const file = sign('n2/n1/f', 'hello')
  const came = (from: string) => ({ ...originOf(caller), claimedPassed: [from] })
  await assert.rejects(relay.put(file, { origin: came('old') }), { code: 'LOOP_DETECTED' })
  assert.throws(() => relay.files.head(file.key, file.hash, came('old')), { code: 'LOOP_DETECTED' })
  assert.equal(await relay.put(file, { origin: came('root') }), 'stored')
})
