import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { DueEntries, OutboxRepository } from '../../../src/shared-files/forwarding/outbox-repository.js'
import type { QueuedFile } from '../../../src/shared-files/keeping/file-record.js'
import { eventually } from '../../support/eventually.js'

/** An implementation to check, on a place of its own. */
export interface OutboxRepositoryFactory {
  /** The repository of a process. Opened again, without an end of the former: that process crashed. */
  open(): OutboxRepository
  /** The repository of one more process, which lives beside the last one that was opened. */
  openBeside(): OutboxRepository
}

const NEW = { replacing: undefined }
const LEASE_MS = 3_600_000

/** @param path `<target>/<source>/<file-id>`, which is the id as well */
function entryOf(path: string, change: Partial<QueuedFile> = {}): QueuedFile {
  const [target = '', source = '', fileId = ''] = path.split('/')
  return {
    id: path,
    target,
    source,
    fileId,
    state: 'pending',
    sizeBytes: 5,
    algorithm: 'sha512',
    hash: 'aa',
    ...{ acceptedAtMs: 1_000, series: 'ab', seriesNumber: 1_001 },
    expiresAtMs: 9_000,
    signedAtMs: undefined,
    metadata: 'header=x\n',
    keyHash: 'sha256:00',
    passed: 'r1,r2',
    requestId: 'request',
    attempts: 1,
    nextAttemptAtMs: 100,
    lastStatus: undefined,
    lastError: 'away',
    ...change
  }
}

function due(nowMs: number, change: Partial<DueEntries> = {}): DueEntries {
  return { nowMs, latestMs: 1_000_000, withUnreached: false, ...change }
}

function idsOf(entries: readonly Pick<QueuedFile, 'id'>[]): string[] {
  return entries.map(({ id }) => id)
}

/** Everything that an {@link OutboxRepository} promises, as tests of the implementation that `create` makes. */
export function testOutboxRepository(name: string, create: (t: TestContext) => OutboxRepositoryFactory): void {
  const check = (
    sentence: string,
    body: (factory: OutboxRepositoryFactory, outbox: OutboxRepository) => Promise<void>
  ) =>
    test(`${name}: ${sentence}`, async t => {
      const factory = create(t)
      await body(factory, factory.open())
    })

  check('an entry is found as it was added, by the next process too', async (factory, outbox) => {
    const all = [entryOf('n1/s/f', { signedAtMs: 5, lastStatus: 503 }), entryOf('n1/s/g', { lastError: undefined })]
    for (const entry of all) assert.equal(await outbox.add(entry, NEW), 'added')
    for (const repository of [outbox, factory.open()]) {
      for (const entry of all) {
        assert.deepEqual(await repository.find(entry.id), entry)
        assert.deepEqual(await repository.findByKey(entry), entry)
      }
      assert.deepEqual((await repository.ids()).sort(), ['n1/s/f', 'n1/s/g'])
    }
    assert.equal(await outbox.find('none'), undefined)
    assert.equal(await outbox.findByKey(entryOf('n1/s/none')), undefined)
  })

  check(
    'an entry takes the place of the one that was seen alone, however many come at once',
    async (factory, outbox) => {
      const first = entryOf('n1/s/f')
      const [second, third] = [entryOf('n1/s/f', { id: '2' }), entryOf('n1/s/f', { id: '3' })]
      assert.equal(await outbox.add(second, { replacing: first }), 'changed', 'there is none')
      assert.equal(await outbox.add(first, NEW), 'added')
      assert.equal(await outbox.add(second, NEW), 'changed', 'there is one')
      assert.deepEqual(await outbox.findByKey(first), first)
      const replacing = { replacing: first }
      const outcomes = await Promise.all([outbox.add(second, replacing), factory.openBeside().add(third, replacing)])
      assert.deepEqual([...outcomes].sort(), ['added', 'changed'])
      assert.equal((await outbox.ids()).length, 1)
      assert.equal(await outbox.find(first.id), undefined)
    }
  )

  check('a source has no more files than it may, however many come at once', async (factory, outbox) => {
    const other = factory.openBeside()
    const limit = { replacing: undefined, maxOfSource: 2 }
    const outcomes = await Promise.all(
      [outbox, other, outbox].map((repository, index) => repository.add(entryOf(`n1/s/f${index}`), limit))
    )
    assert.deepEqual([...outcomes].sort(), ['added', 'added', 'too-many'])
    assert.equal(await outbox.add(entryOf('n1/t/f'), limit), 'added', 'another source')
    const replacing = await outbox.find('n1/s/f0')
    assert.ok(replacing !== undefined)
    const next = { ...replacing, id: 'next' }
    assert.equal(await outbox.add(next, { replacing, maxOfSource: 1 }), 'added', 'it takes the place of one')
    assert.equal(await outbox.add(entryOf('n1/s/more'), NEW), 'added', 'without a limit')
  })

  check('an attempt is counted, and what came of it is noted', async (factory, outbox) => {
    const entry = entryOf('n1/s/f')
    await outbox.add(entry, NEW)
    const claim = () => outbox.claimDue(['n1'], due(1_000), 1, LEASE_MS)
    await claim()
    const away = { state: 'pending', nextAttemptAtMs: 8, lastStatus: undefined, lastError: undefined } as const
    assert.equal(await outbox.recordAttempt(entry.id, away), 'done')
    assert.deepEqual(await outbox.find(entry.id), { ...entry, ...away, attempts: 2 })
    await claim()
    const failed = { state: 'failed', nextAttemptAtMs: 7, lastStatus: 403, lastError: 'no' } as const
    assert.equal(await outbox.recordAttempt(entry.id, failed), 'done')
    assert.equal(await outbox.recordAttempt('none', failed), 'lost')
    assert.equal(await outbox.recordAttempt(entry.id, away), 'lost', 'it was given back')
    assert.deepEqual(await factory.open().find(entry.id), { ...entry, ...failed, attempts: 3 })
  })

  check('entries are made due, failed ones too, one or all; and removed', async (_factory, outbox) => {
    for (const id of ['n1/s/f', 'n1/s/g']) await outbox.add(entryOf(id, { state: 'failed', nextAttemptAtMs: 900 }), NEW)
    assert.equal(await outbox.makeDue(50, 'n1/s/f'), 1)
    assert.deepEqual(idsOf(await outbox.claimDue(['n1'], due(50), 10, LEASE_MS)), ['n1/s/f'])
    assert.equal((await outbox.find('n1/s/f'))?.state, 'pending')
    assert.equal(await outbox.makeDue(60), 2)
    assert.equal(await outbox.makeDue(60, 'none'), 0)
    assert.equal(await outbox.nextDue(['n1'], 1_000), 60)
    assert.equal(await outbox.remove('n1/s/f'), true)
    assert.equal(await outbox.remove('n1/s/f'), false)
    assert.deepEqual(await outbox.ids(), ['n1/s/g'])
  })

  check('what is due is claimed, the longest waiting first', async (_factory, outbox) => {
    await outbox.add(entryOf('n1/s/late', { nextAttemptAtMs: 300, lastStatus: 503 }), NEW)
    await outbox.add(entryOf('n1/s/unreached', { nextAttemptAtMs: 400 }), NEW)
    await outbox.add(entryOf('n1/s/ahead', { nextAttemptAtMs: 5_000, lastStatus: 503 }), NEW)
    await outbox.add(entryOf('n1/s/failed', { state: 'failed' }), NEW)
    await outbox.add(entryOf('n2/s/other', { nextAttemptAtMs: 1 }), NEW)
    await outbox.add(entryOf('n1/s/now', { nextAttemptAtMs: 200 }), NEW)
    const claimed = async (targets: string[], asked: DueEntries, limit = 10) => {
      const ids = idsOf(await outbox.claimDue(targets, asked, limit, LEASE_MS))
      await outbox.giveBack(ids)
      return ids
    }
    assert.deepEqual(await claimed(['n1'], due(299)), ['n1/s/now'])
    assert.deepEqual(await claimed(['n1', 'n2'], due(300)), ['n2/s/other', 'n1/s/now', 'n1/s/late'])
    assert.deepEqual(await claimed(['n1', 'n2'], due(300), 1), ['n2/s/other'])
    assert.deepEqual(await claimed(['n1'], due(250, { withUnreached: true })), ['n1/s/now', 'n1/s/unreached'])
    assert.deepEqual(await claimed(['n1'], due(250, { latestMs: 4_999 })), ['n1/s/now', 'n1/s/ahead'])
    assert.deepEqual(await claimed([], due(9_000)), [])
    assert.deepEqual((await outbox.targets()).sort(), ['n1', 'n2'])
    assert.equal(await outbox.nextDue(['n1'], 1_000_000), 200)
    assert.equal(await outbox.nextDue(['n1'], 4_999), 0, 'the clock was set back')
    assert.equal(await outbox.nextDue(['n3'], 1_000_000), undefined)
  })

  check('a page of what is due has the longest waiting ones of all targets', async (_factory, outbox) => {
    const times = { n1: [10, 40, 70], n2: [20, 50], n3: [30, 60, 2_000_000], n4: [900], n5: [] as number[] }
    for (const [target, all] of Object.entries(times)) {
      for (const nextAttemptAtMs of all)
        await outbox.add(entryOf(`${target}/s/f${nextAttemptAtMs}`, { nextAttemptAtMs }), NEW)
    }
    const claim = async (limit: number, asked = due(100)) =>
      (await outbox.claimDue(Object.keys(times), asked, limit, LEASE_MS)).map(entry => entry.nextAttemptAtMs)
    assert.deepEqual(await claim(2), [10, 20])
    assert.deepEqual(await claim(3), [30, 40, 50])
    assert.deepEqual(await claim(10, due(65, { withUnreached: true })), [60, 70, 900, 2_000_000])
    assert.deepEqual(await claim(10), [])
  })

  check('what is claimed is nobody else’s until it is recorded, given back or removed', async (factory, outbox) => {
    const other = factory.openBeside()
    const ids = ['n1/s/a', 'n1/s/b', 'n1/s/c', 'n1/s/d']
    for (const id of ids) await outbox.add(entryOf(id), NEW)
    const claim = async (limit = 10, repository = outbox) =>
      idsOf(await repository.claimDue(['n1'], due(100), limit, LEASE_MS))
    const some = await Promise.all([claim(1), claim(1), claim(1, other), claim(1, factory.openBeside())])
    assert.deepEqual(some.flat().sort(), ids, 'each is claimed once')
    for (const repository of [outbox, other]) assert.deepEqual(await claim(10, repository), [])
    for (const repository of [outbox, other]) await repository.giveBack(ids)
    const last = some[3] ?? []
    assert.deepEqual(
      (await claim()).sort(),
      ids.filter(id => !last.includes(id)),
      'a third process holds one'
    )
    assert.equal(await outbox.remove(last[0] ?? ''), true)
    await outbox.add(entryOf(last[0] ?? ''), NEW)
    assert.deepEqual(await claim(), last)
    assert.equal(await outbox.nextDue(['n1'], 1_000), undefined)
    await outbox.giveBack(['n1/s/a', 'none'])
    assert.equal(await outbox.nextDue(['n1'], 1_000), 100)
    await outbox.recordAttempt('n1/s/b', { state: 'pending', nextAttemptAtMs: 90, lastStatus: 503, lastError: 'busy' })
    assert.equal(await outbox.finish('n1/s/c'), 'done')
    assert.equal(await outbox.finish('n1/s/c'), 'lost')
    assert.equal(await outbox.find('n1/s/c'), undefined)
    assert.deepEqual(await claim(), ['n1/s/b', 'n1/s/a'])
  })

  check('a process that was late changes nothing of what another one has claimed', async (factory, outbox) => {
    const entries = ['n1/s/a', 'n1/s/b', 'n1/s/c'].map(id => entryOf(id))
    for (const entry of entries) await outbox.add(entry, NEW)
    const ids = idsOf(entries)
    const attempt = { state: 'failed', nextAttemptAtMs: 7, lastStatus: 403, lastError: 'no' } as const
    await outbox.claimDue(['n1'], due(100), 10, 1)
    const next = factory.openBeside()
    await eventually('the leases to end', async () => {
      await next.claimDue(['n1'], due(100), 10, LEASE_MS)
      return (await next.renew(ids, LEASE_MS)).length === 0
    })
    assert.deepEqual(await outbox.renew(ids, LEASE_MS), ids)
    assert.equal(await outbox.recordAttempt('n1/s/a', attempt), 'lost')
    assert.equal(await outbox.finish('n1/s/b'), 'lost')
    await outbox.giveBack(ids)
    assert.deepEqual(await outbox.claimDue(['n1'], due(100), 10, LEASE_MS), [])
    assert.deepEqual(await outbox.page('', 10).then(idsOf), ids)
    assert.deepEqual(await outbox.find('n1/s/a'), entries[0])
    assert.equal(await next.recordAttempt('n1/s/a', attempt), 'done')
    assert.equal(await next.finish('n1/s/b'), 'done')
    assert.equal(await outbox.remove('n1/s/c'), true, 'an operator removes it whoever works on it')
    assert.equal(await next.finish('n1/s/c'), 'lost')
  })

  check('an entry that a newer one replaced is lost to who works on it', async (factory, outbox) => {
    const [first, second] = [entryOf('n1/s/f'), entryOf('n1/s/f', { id: '2' })]
    await outbox.add(first, NEW)
    await outbox.claimDue(['n1'], due(100), 1, LEASE_MS)
    assert.equal(await factory.openBeside().add(second, { replacing: first }), 'added')
    assert.equal(await outbox.finish(first.id), 'lost')
    assert.deepEqual(await outbox.find('2'), second)
  })

  check('a lease that ended takes nothing from a process that nobody has replaced', async (_factory, outbox) => {
    await outbox.add(entryOf('n1/s/a'), NEW)
    await outbox.claimDue(['n1'], due(100), 1, 0)
    assert.equal(await outbox.finish('n1/s/a'), 'done')
  })

  check(
    'a claim ends with its lease, unless that is renewed, and when its process is gone',
    async (factory, outbox) => {
      for (const id of ['n1/s/a', 'n1/s/b']) await outbox.add(entryOf(id), NEW)
      const claim = async (repository: OutboxRepository, leaseMs: number) =>
        idsOf(await repository.claimDue(['n1'], due(100), 10, leaseMs))
      assert.deepEqual(await claim(outbox, 200), ['n1/s/a', 'n1/s/b'])
      await outbox.renew(['n1/s/a', 'none'], LEASE_MS)
      const first = await eventually('the lease to end', async () => {
        const ids = await claim(outbox, 1)
        return ids.length > 0 && ids
      })
      assert.deepEqual(first, ['n1/s/b'])
      await outbox.renew(['n1/s/a'], 1)
      const next = factory.open()
      await eventually('the leases of the process that is gone to end', async () => (await claim(next, 1)).length === 2)
    }
  )

  check(
    'what waits is counted, by state, node and target, however much of it a page shows',
    async (_factory, outbox) => {
      const add = (id: string, target: string, state: QueuedFile['state']) =>
        outbox.add(entryOf(`${target}/node-1/${id}`, { id, state }), NEW)
      for (let index = 0; index < 12; index++) await add(`a${index}`, 'node-a', 'pending')
      await add('b', 'node-b', 'pending')
      await add('c', 'node-b', 'failed')
      assert.deepEqual(idsOf(await outbox.page('', 3)), ['a0', 'a1', 'a10'])
      assert.deepEqual(await outbox.countByTarget(), [
        { target: 'node-a', count: 12 },
        { target: 'node-b', count: 1 }
      ])
      assert.deepEqual(await outbox.counts(), { pending: 13, failed: 1 })
      assert.deepEqual(idsOf(await outbox.page('', 10, 'node-b')), ['b', 'c'])
      assert.deepEqual(await outbox.counts('node-b'), { pending: 1, failed: 1 })
      assert.equal((await outbox.page('', 10, 'node-1')).length, 10)
      assert.deepEqual(idsOf(await outbox.page('a10', 2)), ['a11', 'a2'], 'the next page')
      assert.deepEqual(idsOf(await outbox.page('a9', 10, 'node-1')), ['b', 'c'])
      assert.deepEqual(await outbox.page('b', 10, 'nobody'), [])
      assert.deepEqual(await outbox.counts('node-1'), { pending: 13, failed: 1 })
      assert.deepEqual(await outbox.counts('node'), { pending: 0, failed: 0 })
      await outbox.add(entryOf('node-9/node-9/own', { id: 'own' }), NEW)
      assert.deepEqual(await outbox.counts('node-9'), { pending: 1, failed: 0 }, 'it is its own target')
      assert.deepEqual(idsOf(await outbox.page('', 10, 'node-9')), ['own'])
      await outbox.remove('own')
      assert.deepEqual(await outbox.totals(), { count: 14, bytes: 70 })
    }
  )

  check('what has expired, the oldest first', async (_factory, outbox) => {
    const expiry = { 'n1/s/b': 300, 'n1/s/a': 200, 'n1/s/c': 301 }
    for (const [id, expiresAtMs] of Object.entries(expiry)) await outbox.add(entryOf(id, { expiresAtMs }), NEW)
    assert.deepEqual(await outbox.expired(300), ['n1/s/a', 'n1/s/b'])
    assert.deepEqual(await outbox.expired(199), [])
  })
}
