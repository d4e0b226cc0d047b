import assert from 'node:assert/strict'
import { readdirSync, readFileSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Claims } from '../../src/storage/sqlite/claims.js'
import { createOutboxRepository } from '../../src/storage/sqlite/sqlite-outbox.js'
import { openDatabase } from '../../src/storage/sqlite-engine/database.js'
import type { Topology } from '../../src/tree/topology.js'
import { RelayError } from '../../src/values/failures/relay-error.js'
import { type Logger, silentLogger } from '../../src/values/logging/logger.js'
import { makeFifo } from '../support/machine/make-fifo.js'
import { temporaryFolder } from '../support/machine/treeline-command.js'
import { outboxFile, outboxFiles, relayOutcome, startRoot } from '../support/parts/outboxes.js'
import {
  BELOW_RELAY,
  keyHashOf,
  outcome,
  rsaKey,
  sign,
  startSharedFiles,
  statedAt,
  TestHop,
  topologyOf,
  WHOLE_TREE
} from '../support/parts/shared-file-relays.js'
import { until } from '../support/relays/existing-relays.js'

const DAY_MS = 24 * 3_600_000

test('what could not be sent is sent once the hop is back, with the ttl that is left', async t => {
  const { root, down } = await startRoot(t)
  const below = await startSharedFiles(t, { selfId: 'relay', nodes: BELOW_RELAY })
  const files = Array.from({ length: 20 }, (_, index) => sign(`n2/n1/f${index}`, `content ${index}`))
  for (const file of files) assert.equal(await root.put(file), 'pending')
  assert.equal(down.requests.length, 1) // the others were not even tried
  assert.equal(outboxFiles(root).length, 20)
  assert.equal((await root.files.status()).outboxPending, 20)
  down.leadTo(below.files, { kind: 'policy-server', address: '::1' })
  root.clock.nowMs += 120_000
  root.files.start()
  await until(() => outboxFiles(root).length === 0)
  for (const file of files) assert.equal(await below.head(file), true)
  assert.equal((await root.files.status()).outboxPending, 0)
  assert.ok(down.requests.at(-1)?.path.endsWith('?ttl=3480'))
  assert.equal(down.requests.at(-1)?.headers['treeline-source-key-hash'], keyHashOf(rsaKey))
  assert.equal(down.requests.at(-1)?.headers['treeline-passed'], 'root')
})

test('a hop that stays away is tried with one entry at a time, ever more rarely', async t => {
  const { root, down } = await startRoot(t, { more: { random: () => 1 } })
  for (let index = 0; index < 5; index += 1) await root.put(sign(`n2/n1/f${index}`, 'x'))
  root.clock.nowMs += 1_000
  root.files.start()
  await until(() => down.requests.length === 2)
  await root.files.stop()
  const waits = (await root.files.outbox.list()).map(entry => (entry.nextAttemptAtMs ?? 0) - root.clock.nowMs)
  assert.equal(waits.filter(wait => wait === 2_000).length, 1)
  assert.equal(waits.filter(wait => wait === 0).length, 4)
})

test('what was put off goes on when the clock is set back a day, in the same process and after a restart', async t => {
  const down = new TestHop('relay')
  const below = await startSharedFiles(t, { selfId: 'relay', nodes: BELOW_RELAY })
  const uptime = { nowMs: 0 }
  const folder = await temporaryFolder(t)
  const options = { hops: [down], more: { monotonicNow: () => uptime.nowMs }, folder }
  const root = await startSharedFiles(t, options)
  await root.put(sign('n2/n1/f', 'content'))
  await root.put(sign('n2/n1/g', 'content'))
  root.clock.nowMs -= DAY_MS
  uptime.nowMs += 1_000
  root.files.start()
  const waits = async () =>
    (await root.files.outbox.list()).map(entry => (entry.nextAttemptAtMs ?? 0) - root.clock.nowMs)
  await until(async () => Math.min(...(await waits())) <= 2_000) // one was tried, and put off by the clock as it is now
  assert.equal(down.requests.length, 2)
  await root.stop()

  const again = await startSharedFiles(t, options)
  again.clock.nowMs = root.clock.nowMs - DAY_MS
  down.leadTo(below.files, { kind: 'policy-server', address: '::1' })
  again.files.start()
  await until(async () => (await again.files.outbox.list()).length === 0)
  assert.equal(await below.head(sign('n2/n1/f', 'content')), true)
})

test('a newer copy takes the place of the one that waits, and an older one does not', async t => {
  const { root, down } = await startRoot(t)
  const newer = sign('n2/n1/f', 'newer')
  await root.put(sign('n2/n1/f', 'first'), statedAt(1_000))
  assert.equal(await root.put(newer, statedAt(3_000)), 'pending')
  assert.equal(await root.put(sign('n2/n1/f', 'older'), statedAt(2_000)), 'superseded')
  assert.equal((await root.files.outbox.list()).length, 1)
  assert.equal(await root.head(newer), true)
  const [name = ''] = outboxFiles(root)
  assert.equal(outboxFiles(root).length, 1)
  assert.equal(readFileSync(outboxFile(root, name), 'utf8'), 'newer')
  down.answer = () => relayOutcome(200)
  root.clock.nowMs += 5_000
  assert.equal(await root.put(sign('n2/n1/f', 'newest')), 'stored')
  assert.equal((await root.files.outbox.list()).length, 0)
  assert.deepEqual(outboxFiles(root), [])
  assert.equal((await root.files.status()).outboxBytes, 0)
})

test('an entry that is refused later has failed: HEAD 404, kept, retried on demand, gone with its ttl', async t => {
  const { root, down } = await startRoot(t)
  const file = sign('n2/n1/f', 'x')
  await root.put(file)
  down.answer = () => relayOutcome(404, 'unknown source: n1')
  root.clock.nowMs += 5_000
  root.files.start()
  await until(async () => (await root.files.status()).outboxFailed === 1)
  const [entry] = await root.files.outbox.list()
  assert.equal(entry?.state, 'failed')
  assert.equal(entry?.nextAttemptAtMs, undefined)
  assert.equal(entry?.lastError, 'unknown source: n1')
  assert.equal(await root.head(file), false)
  const asked = down.requests.length
  assert.equal(await root.files.outbox.retry(entry?.id), 1)
  await until(async () => down.requests.length > asked && (await root.files.status()).outboxFailed === 1)
  root.clock.nowMs += 3_600_000
  assert.equal(await root.files.purgeExpired(new AbortController().signal), 1)
  assert.deepEqual(outboxFiles(root), [])
})

test('entries survive a restart', async t => {
  const down = new TestHop('relay')
  const first = await startSharedFiles(t, { hops: [down] })
  const file = sign('n2/n1/f', Buffer.alloc(100_000, 'y'))
  await first.put(file)
  await first.stop()
  const below = await startSharedFiles(t, { selfId: 'relay', nodes: BELOW_RELAY })
  down.leadTo(below.files, { kind: 'policy-server', address: '::1' })
  const again = await startSharedFiles(t, { hops: [down], folder: first.folder })
  assert.equal(await again.head(file), true)
  again.clock.nowMs += 5_000
  again.files.start()
  await until(async () => (await again.files.outbox.list()).length === 0)
  assert.equal(await below.head(file), true)
})

test('an entry whose target has moved here is put in place', async t => {
  let topology: Topology = topologyOf('root', WHOLE_TREE)
  const root = await startSharedFiles(t, { hops: [new TestHop('relay')], topology: () => topology })
  const file = sign('n2/n1/f', 'hello')
  await root.put(file)
  topology = topologyOf(
    'root',
    WHOLE_TREE.map(node => (node.id === 'n2' ? { ...node, policyServer: 'root' } : node))
  )
  root.files.start()
  await root.files.outbox.retry()
  await until(() => outboxFiles(root).length === 0)
  assert.equal(readFileSync(join(root.folder, 'shared-files/n2/files/n1/f'), 'utf8'), 'hello')
  assert.equal(await root.head(file), true)
  assert.equal((await root.files.status()).bytes, 5)
})

test('the outbox can be emptied by hand, and counts in the quota', async t => {
  const root = await startSharedFiles(t, { hops: [new TestHop('relay')], config: { maxTotalBytes: 10_000 } })
  await root.put(sign('n2/n1/f', Buffer.alloc(6_000)))
  await assert.rejects(root.put(sign('n2/n1/g', Buffer.alloc(6_000))), RelayError)
  const [entry] = await root.files.outbox.list()
  assert.equal(await root.files.outbox.drop(entry?.id ?? ''), true)
  assert.equal(await root.files.outbox.drop(entry?.id ?? ''), false)
  assert.deepEqual(outboxFiles(root), [])
  assert.equal(await root.put(sign('n2/n1/g', Buffer.alloc(6_000))), 'pending')
})

test('a waiting file that was cut, changed or replaced is failed with what is wrong with it, and holds up no other', async t => {
  const { root, down } = await startRoot(t)
  const below = await startSharedFiles(t, { selfId: 'relay', nodes: BELOW_RELAY })
  const hurt: Readonly<Record<string, (path: string) => unknown>> = {
    cut: path => truncateSync(path, 3),
    changed: path => writeFileSync(path, 'another content of changed'.slice(0, 'content of changed'.length)),
    fifo: makeFifo,
    whole: () => undefined
  }
  for (const [name, harm] of Object.entries(hurt)) {
    await root.put(sign(`n2/n1/${name}`, `content of ${name}`))
    const entry = (await root.files.outbox.list()).find(({ key }) => key.fileId === name)
    await harm(outboxFile(root, entry?.id))
  }
  down.leadTo(below.files, { kind: 'policy-server', address: '::1' })
  root.clock.nowMs += 120_000
  root.files.start()
  await until(async () => (await root.files.outbox.list()).every(({ state }) => state === 'failed'))
  const faults = new Map((await root.files.outbox.list()).map(({ key, lastError }) => [key.fileId, lastError]))
  assert.deepEqual([...faults.keys()].sort(), ['changed', 'cut', 'fifo'])
  assert.match(faults.get('cut') ?? '', /has 3 bytes, and had 14 when it was accepted/)
  assert.match(faults.get('changed') ?? '', /is not what was accepted any more/)
  assert.match(faults.get('fifo') ?? '', /is a FIFO: remove it/)
  assert.equal(await below.head(sign('n2/n1/whole', 'content of whole')), true)
})

test("a refusal is recorded when the file cannot be read again; after a proxy's 404 nobody looks at it", async t => {
  const { root, down } = await startRoot(t)
  await root.put(sign('n2/n1/refused', 'content'))
  const [entry] = await root.files.outbox.list()
  const path = outboxFile(root, entry?.id)
  down.answer = () => {
    unlinkSync(path)
    return relayOutcome(400, 'no')
  }
  root.clock.nowMs += 120_000
  root.files.start()
  await until(async () => (await root.files.outbox.list())[0]?.state === 'failed')
  assert.equal((await root.files.outbox.list())[0]?.lastError, 'no')
  assert.equal(await root.files.outbox.drop(entry?.id ?? ''), true)

  down.answer = () => outcome(404)
  const file = sign('n2/n1/stopped', 'content')
  assert.equal(await root.put(file), 'pending')
  const [waiting] = await root.files.outbox.list()
  writeFileSync(outboxFile(root, waiting?.id), 'changed')
  const asked = down.requests.length
  root.clock.nowMs += 120_000
  await root.files.outbox.retry()
  await until(() => down.requests.length > asked)
  await root.files.stop()
  assert.match((await root.files.outbox.list())[0]?.lastError ?? '', /answers 404, but not as itself/)
  assert.equal((await root.files.outbox.list())[0]?.state, 'pending')
})

test('a file that is gone before its record is settled is no success', async t => {
  const folder = await temporaryFolder(t)
  const db = openDatabase(join(folder, 'state.db'), 'state')
  t.after(() => db.close())
  const repository = createOutboxRepository(db, new Claims())
  const add = repository.add.bind(repository)
  repository.add = async (...asked) => {
    const added = await add(...asked)
    const waiting = join(folder, 'shared-files/.outbox~')
    for (const name of readdirSync(waiting)) unlinkSync(join(waiting, name))
    return added
  }
  const { root } = await startRoot(t, { folder, more: { outboxRepository: repository } })
  await assert.rejects(root.put(sign('n2/n1/f', 'content')), /ENOENT|not there/)
})

test('an outbox that cannot be read is logged once, and again when the reason is another one or has come back', async t => {
  const folder = await temporaryFolder(t)
  const db = openDatabase(join(folder, 'state.db'), 'state')
  t.after(() => db.close())
  const repository = createOutboxRepository(db, new Claims())
  const targets = repository.targets.bind(repository)
  let reason: string | undefined
  let looks = 0
  repository.targets = async () => {
    looks += 1
    if (reason !== undefined) throw new Error(reason)
    return targets()
  }
  const logged: string[] = []
  const error = ({ err }: { readonly err: Error }) => void logged.push(err.message)
  const logger = { ...silentLogger, error } as Logger
  const { root } = await startRoot(t, { folder, more: { outboxRepository: repository, logger } })
  root.files.start()
  for (reason of ['disk I/O error', 'no room', undefined, 'no room']) {
    const before = looks
    await until(() => {
      root.files.hopIsBack('relay')
      return looks > before + 10
    })
  }
  await root.files.stop()
  assert.deepEqual(logged, ['disk I/O error', 'no room', 'no room'])
})
