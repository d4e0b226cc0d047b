import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { OutboxRepository } from '../../src/shared-files/forwarding/outbox-repository.js'
import { Claims } from '../../src/storage/sqlite/claims.js'
import { createOutboxRepository } from '../../src/storage/sqlite/sqlite-outbox.js'
import { silentLogger } from '../../src/values/logging/logger.js'
import { LEASE_MS } from '../../src/values/time/lease.js'
import { eventually } from '../support/eventually.js'
import { outboxFiles, relayOutcome, startRoot } from '../support/parts/outboxes.js'
import {
  outcome,
  sign,
  startSharedFiles,
  TestHop,
  type TestRelay,
  topologyOf,
  WHOLE_TREE
} from '../support/parts/shared-file-relays.js'

const ANY_TIME = { nowMs: Number.MAX_SAFE_INTEGER, latestMs: Number.MAX_SAFE_INTEGER, withUnreached: true }

/**
 * A relay that stands still while it hands on an entry, for longer than its lease, so that another process claims it.
 * Then the hop answers `status`.
 */
async function handOnTooLate(t: TestContext, status: number) {
  let standsMs = 0
  const claims = new Claims(() => standsMs)
  const { root, down } = await startRoot(t, { claims })
  assert.equal(await root.put(sign('n2/n1/f', 'content')), 'pending')
  const other = createOutboxRepository(root.db, claims.beside())
  down.answer = async () => {
    standsMs += LEASE_MS
    assert.equal((await other.claimDue(['n2'], ANY_TIME, 1, LEASE_MS)).length, 1)
    return outcome(status)
  }
  root.clock.nowMs += 120_000
  root.files.start()
  await eventually('the attempt', () => down.requests.length === 2)
  await root.files.stop()
  return { root, other }
}

async function onlyEntry(outbox: OutboxRepository) {
  const [entry, ...more] = await outbox.page('', 10)
  assert.ok(entry !== undefined && more.length === 0)
  return entry
}

test('an entry that another process has claimed meanwhile is left to it, with its file, after it arrived', async t => {
  const { root, other } = await handOnTooLate(t, 200)
  const { id } = await onlyEntry(other)
  assert.deepEqual(outboxFiles(root), [id])
  assert.equal(await other.finish(id), 'done')
})

test('an entry that another process has claimed meanwhile is not marked as refused', async t => {
  const { other } = await handOnTooLate(t, 403)
  const { id, state, attempts } = await onlyEntry(other)
  assert.deepEqual([state, attempts], ['pending', 1])
  assert.deepEqual(await other.renew([id], LEASE_MS), [], 'its claim stays as well')
})

const FILES = Array.from({ length: 8 }, (_, index) => `f${index}`)

function fileIdOf(path: string): string {
  return path.split('/').at(-1)?.split('?')[0] ?? ''
}

/** The ids of files that a hop was asked to take since then, sorted. */
function takenBy(hop: TestHop, since: number): string[] {
  return hop.requests
    .slice(since)
    .map(({ path }) => fileIdOf(path))
    .sort()
}

function withResolvers() {
  let resolve: () => void = () => undefined
  const promise = new Promise<void>(settle => {
    resolve = settle
  })
  return { promise, resolve }
}

async function fillOutbox(relay: TestRelay): Promise<void> {
  for (const file of FILES) assert.equal(await relay.put(sign(`n2/n1/${file}`, file)), 'pending')
}

/** Adds entries that fail at once, as copies of one that is there. */
function addWithoutFiles(relay: TestRelay, count: number): void {
  const columns = relay.db.prepare<[], string>("SELECT name FROM pragma_table_info('outbox')").pluck().all()
  const values = columns.map(name => (name === 'id' || name === 'file_id' ? `'x' || value` : name))
  relay.db.exec(`WITH RECURSIVE numbers (value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM numbers WHERE value < ${count})
    INSERT INTO outbox (${columns}) SELECT ${values} FROM numbers, outbox WHERE file_id = 'f0'`)
}

test('when what came of one entry cannot be recorded, the others are delivered once', async t => {
  const down = new TestHop('relay')
  const warnings: string[] = []
  const logger = { ...silentLogger, warn: (_details: object, message: string) => void warnings.push(message) }
  const root = await startSharedFiles(t, { hops: [down], more: { logger } })
  await fillOutbox(root)
  const since = down.requests.length
  let refused: string | undefined
  let refusals = 0
  const oneIsRefused = withResolvers()
  root.db.function('refuse', fileId => {
    if (fileId !== refused) return
    refusals += 1
    oneIsRefused.resolve()
    throw new Error('no room')
  })
  root.db.exec('CREATE TEMP TRIGGER refuse BEFORE DELETE ON outbox BEGIN SELECT refuse(old.file_id); END')
  down.answer = async ({ path }) => {
    if (refused === undefined) refused = fileIdOf(path)
    else await oneIsRefused.promise
    return relayOutcome(200)
  }
  await root.files.outbox.retry()
  root.files.start()
  await eventually('the others that were under way', async () => (await root.files.outbox.list()).length <= 5)
  assert.equal(refusals, 1)
  const [again = ''] = [refused]
  refused = 'none'
  await eventually('the rest', async () => {
    await root.files.outbox.retry()
    return (await root.files.outbox.list()).length === 0
  })
  assert.deepEqual(takenBy(down, since), [...FILES, again].sort())
  assert.deepEqual(warnings, [])
})

test('an entry whose attempts always fail within this relay keeps no other from being handed on', async t => {
  const { root, down } = await startRoot(t)
  await fillOutbox(root)
  let refused: string | undefined
  root.db.function('refuse', fileId => {
    if (fileId === refused) throw new Error('no room')
  })
  root.db.exec('CREATE TEMP TRIGGER refuse BEFORE DELETE ON outbox BEGIN SELECT refuse(old.file_id); END')
  down.answer = ({ path }) => {
    refused ??= fileIdOf(path)
    return relayOutcome(200)
  }
  await root.files.outbox.retry()
  root.files.start()
  await eventually('all others', async () => {
    root.clock.nowMs += 200
    return (await root.files.outbox.list()).length === 1
  })
  const [entry] = await root.files.outbox.list()
  assert.deepEqual([entry?.key.fileId, entry?.state, entry?.lastError], [refused, 'pending', 'no room'])
})

test('an entry that was refused is tried when an operator says so, while others are handed on still', async t => {
  const { root, down } = await startRoot(t)
  await fillOutbox(root)
  const isRetried = withResolvers()
  const isTriedAgain = withResolvers()
  let refusals = 0
  down.answer = async ({ path }) => {
    if (path.includes('/f3?')) {
      if (++refusals === 1) return relayOutcome(403, 'no')
      isTriedAgain.resolve()
    }
    if (path.includes('/f4?')) await isRetried.promise
    if (path.includes('/f5?')) await isTriedAgain.promise
    return relayOutcome(200)
  }
  await root.files.outbox.retry()
  const laterMs = root.clock.nowMs + 1_000
  root.db.prepare("UPDATE outbox SET next_attempt_at = ? WHERE file_id = 'f5'").run(laterMs)
  addWithoutFiles(root, 93) // with the others but f5, a page
  root.files.start()
  const failed = await eventually('the refusal', async () =>
    (await root.files.outbox.list()).find(({ state, key }) => state === 'failed' && key.fileId === 'f3')
  )
  root.clock.nowMs = laterMs
  assert.equal(await root.files.outbox.retry(failed.id), 1)
  isRetried.resolve()
  await eventually('all to arrive', async () => (await root.files.status()).outboxPending === 0)
  assert.equal(refusals, 2)
})

test('entries whose target moved to another hop go there, while others are handed on the old way still', async t => {
  const [before, after] = [new TestHop('relay'), new TestHop('e1')]
  let topology = topologyOf('root', WHOLE_TREE)
  const root = await startSharedFiles(t, { hops: [before, after], topology: () => topology })
  await fillOutbox(root)
  const since = before.requests.length
  const hasMoved = withResolvers()
  const haveArrived = withResolvers()
  before.answer = async () => {
    await (before.requests.length === since + 1 ? haveArrived : hasMoved).promise
    return relayOutcome(200)
  }
  after.answer = () => relayOutcome(200)
  await root.files.outbox.retry()
  root.files.start()
  await eventually('four under way', () => before.requests.length === since + 4)
  topology = topologyOf(
    'root',
    WHOLE_TREE.map(node => (node.id === 'n2' ? { ...node, policyServer: 'e1' } : node))
  )
  hasMoved.resolve()
  await eventually('the others to arrive the new way', () => after.requests.length === 4)
  haveArrived.resolve()
  await eventually('all to arrive', async () => (await root.files.outbox.list()).length === 0)
  assert.deepEqual([...takenBy(before, since), ...takenBy(after, 0)].sort(), FILES)
})
