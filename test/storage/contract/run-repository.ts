import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { RunRepository } from '../../../src/remote-run/records/run-repository.js'
import { testRunOwnership } from './run-ownership.js'
import { LEASE_MS, manyNodes, nodeOf, RUN, type RunRepositoryFactory } from './run-records.js'

/** Everything that a {@link RunRepository} promises, as tests of the implementation that `create` makes. */
export function testRunRepository(name: string, create: (t: TestContext) => RunRepositoryFactory): void {
  const check = (sentence: string, body: (factory: RunRepositoryFactory, runs: RunRepository) => Promise<void>) =>
    test(`${name}: ${sentence}`, async t => {
      const factory = create(t)
      await body(factory, factory.open())
    })

  check('a run is found as it was begun, with all its nodes, by the next process too', async (factory, runs) => {
    const unreached = { from: 'relay', to: 'b', reason: 'no route' }
    const nodes = [nodeOf('b', { via: 'relay', unreached }), nodeOf('a', { reached: 'link', startedAtMs: 3 })]
    assert.equal(await runs.begin(RUN, nodes, LEASE_MS), 'begun')
    for (const repository of [runs, factory.open()]) {
      assert.deepEqual(await repository.find('R1'), { ...RUN, state: 'running', endedAtMs: undefined, counts: {} })
      assert.deepEqual(await repository.nodes('R1', 10), [nodes[1], nodes[0]])
    }
    assert.equal(await runs.find('R2'), undefined)
    assert.deepEqual(await runs.nodes('R2', 10), [])
  })

  check('an id is taken once, however many begin with it at once', async (factory, runs) => {
    const other = factory.openBeside()
    const begun = await Promise.all([
      runs.begin(RUN, [nodeOf('a')], LEASE_MS),
      runs.begin({ ...RUN, askedBy: 'second' }, [nodeOf('b')], LEASE_MS),
      other.begin({ ...RUN, askedBy: 'third' }, [nodeOf('c')], LEASE_MS)
    ])
    assert.deepEqual([...begun].sort(), ['begun', 'known', 'known'])
    assert.equal((await runs.nodes('R1', 10)).length, 1)
    assert.equal(await factory.open().begin(RUN, [], LEASE_MS), 'known')
  })

  check('an order begins one run, and is known for longer than its record', async (factory, runs) => {
    assert.equal(await runs.orderedRunId('order'), undefined)
    const begun = await Promise.all([
      runs.begin(RUN, [nodeOf('a')], LEASE_MS, 'order'),
      factory.openBeside().begin({ ...RUN, id: 'R2' }, [nodeOf('a')], LEASE_MS, 'order')
    ])
    assert.deepEqual(begun, ['begun', 'known'])
    assert.equal(await runs.find('R2'), undefined)
    assert.equal(await runs.noteAge(1_000, 10), 1)
    await runs.begin({ ...RUN, id: 'R3' }, [], LEASE_MS, 'later')
    for (const repository of [runs, factory.open()]) assert.equal(await repository.orderedRunId('order'), 'R1')
    assert.equal(await runs.noteAge(2_000, 10), 1)
    assert.equal(await runs.noteAge(3_000, 10), 0, 'noted once for all')
    assert.equal(await runs.forgetOrders({ orderedBeforeMs: 9_000 }, 10), 0, 'their runs are there')
    for (const id of ['R1', 'R3']) await runs.remove(id)
    assert.equal(await runs.orderedRunId('order'), 'R1')
    assert.equal(await runs.begin({ ...RUN, id: 'R4' }, [], LEASE_MS, 'order'), 'known')
    assert.equal(await runs.forgetOrders({ orderedBeforeMs: 1_000 }, 10), 0)
    assert.equal(await runs.forgetOrders({ orderedBeforeMs: 9_000 }, 1), 1, 'the oldest')
    assert.equal(await runs.orderedRunId('order'), undefined)
    assert.equal(await runs.orderedRunId('later'), 'R3')
    assert.equal(await runs.begin({ ...RUN, id: 'R4' }, [], LEASE_MS, 'order'), 'begun')
  })

  check('pages: runs from the newest, nodes by their ids', async (_factory, runs) => {
    for (const id of ['R1', 'R3', 'R2']) await runs.begin({ ...RUN, id }, manyNodes(id === 'R1' ? 1_203 : 0), LEASE_MS)
    const ids = async (limit: number, before?: string) => (await runs.page(limit, before)).map(({ id }) => id)
    assert.deepEqual(await ids(2), ['R3', 'R2'])
    assert.deepEqual(await ids(2, 'R2'), ['R1'])
    const nodes = async (limit: number, after?: string) =>
      (await runs.nodes('R1', limit, after)).map(({ node }) => node)
    assert.deepEqual(await nodes(2), ['n00000', 'n00001'])
    assert.deepEqual(await nodes(5, 'n01200'), ['n01201', 'n01202'])
  })

  check('a note changes the nodes that it names, and keeps a known start and way', async (_factory, runs) => {
    await runs.begin(RUN, manyNodes(1_500), LEASE_MS)
    const started = { reached: 'link', startedAtMs: 5 } as const
    await runs.note('R1', [nodeOf('n00001', { outcome: 'running', ...started })])
    await runs.note('R1', [nodeOf('n00001', { outcome: 'done', exitCode: 0, durationMs: 7 }), nodeOf('stranger')])
    const ended = nodeOf('n00001', { outcome: 'done', exitCode: 0, durationMs: 7, ...started })
    assert.deepEqual(await runs.nodes('R1', 3), [nodeOf('n00000'), ended, nodeOf('n00002')])
    await runs.note(
      'R1',
      manyNodes(1_500).map(node => ({ ...node, outcome: 'refused' }) as const)
    )
    assert.deepEqual((await runs.nodes('R1', 10, 'n01498'))[0]?.outcome, 'refused')
    assert.deepEqual(await runs.nodes('R1', 10, 'n01499'), [], 'no node was added')
  })

  check('an end has the last changes, its counts and its time', async (factory, runs) => {
    await runs.begin(RUN, manyNodes(1_002), LEASE_MS)
    const counts = { done: 1_001, failed: 1 }
    const nodes = manyNodes(1_002).map(node => ({ ...node, outcome: 'done', exitCode: 0 }) as const)
    await runs.end('R1', { state: 'done', endedAtMs: 4_000, counts }, nodes)
    const next = factory.open()
    assert.deepEqual(await next.find('R1'), { ...RUN, state: 'done', endedAtMs: 4_000, counts })
    assert.deepEqual(
      (await next.nodes('R1', 2_000)).filter(({ outcome }) => outcome !== 'done'),
      []
    )
    assert.deepEqual(await next.claimAbandoned(LEASE_MS), [])
  })

  check('what is without an outcome is interrupted, and counted with the others', async (_factory, runs) => {
    const message = 'the relay ended'
    await runs.begin(
      RUN,
      [
        nodeOf('done', { outcome: 'done', exitCode: 0 }),
        nodeOf('failed', { outcome: 'done', exitCode: 3 }),
        nodeOf('queued'),
        nodeOf('running', { outcome: 'running', startedAtMs: 2 })
      ],
      LEASE_MS
    )
    await runs.interrupt('R1', { state: 'cancelled', endedAtMs: 6 }, message)
    const record = await runs.find('R1')
    assert.deepEqual([record?.state, record?.endedAtMs], ['cancelled', 6])
    assert.deepEqual(record?.counts, { done: 1, failed: 1, interrupted: 2 })
    const nodes = await runs.nodes('R1', 10)
    assert.deepEqual(
      nodes.map(({ node, outcome, message: said }) => [node, outcome, said]),
      [
        ['done', 'done', undefined],
        ['failed', 'done', undefined],
        ['queued', 'interrupted', message],
        ['running', 'interrupted', message]
      ]
    )
  })

  testRunOwnership(check)

  check('nodes that wait, and nodes that were asked over their links, are told apart', async (_factory, runs) => {
    await runs.begin(
      RUN,
      [
        nodeOf('away'),
        nodeOf('below', { via: 'relay' }),
        nodeOf('asked', { reached: 'link' }),
        nodeOf('relay', { reached: 'direct' }),
        nodeOf('relay-at-it', { reached: 'direct', outcome: 'running', startedAtMs: 1 }),
        nodeOf('at-it', { reached: 'link', outcome: 'running', startedAtMs: 1 }),
        nodeOf('command', { reached: 'command', outcome: 'running', startedAtMs: 1 }),
        nodeOf('at-relay', { via: 'relay', outcome: 'running', startedAtMs: 1 }),
        nodeOf('ended', { reached: 'link', outcome: 'done', exitCode: 0 })
      ],
      LEASE_MS
    )
    const waiting = (await runs.waitingNodes('R1')).map(({ node, via }) => [node, via])
    assert.deepEqual(waiting.sort(), [
      ['at-relay', 'relay'],
      ['away', undefined],
      ['below', 'relay'],
      ['relay', undefined]
    ])
    assert.deepEqual((await runs.openLinkedNodes('R1')).sort(), ['asked', 'at-it', 'relay', 'relay-at-it'])
  })

  check('nodes that were given away do not wait any more, unless they did not get there', async (factory, runs) => {
    const via = 'relay'
    const nodes = ['a', 'b', 'c']
    await runs.begin(
      RUN,
      [nodeOf('a', { via }), nodeOf('b', { via }), nodeOf('c', { via, outcome: 'refused' })],
      LEASE_MS
    )
    await runs.markGiven('R1', nodes)
    const next = factory.open()
    assert.deepEqual(await next.claimAbandoned(LEASE_MS), ['R1'])
    assert.deepEqual(await next.waitingNodes('R1'), [])
    assert.deepEqual(
      (await next.nodes('R1', 3)).map(({ outcome }) => outcome),
      ['running', 'running', 'refused']
    )
    await next.note('R1', [nodeOf('b', { via, outcome: 'running', startedAtMs: 3 })])
    await next.unmarkGiven('R1', nodes)
    assert.deepEqual(
      (await next.nodes('R1', 3)).map(({ outcome }) => outcome),
      ['queued', 'running', 'refused']
    )
  })

  check('expired runs are found, the first that ended before the others, and removed whole', async (_factory, runs) => {
    const endedAt = { R1: 30, R2: 20, R3: 40, Z1: 10 }
    for (const [id, endedAtMs] of Object.entries(endedAt)) {
      await runs.begin({ ...RUN, id }, manyNodes(id === 'R2' ? 1_000 : 1), LEASE_MS)
      await runs.end(id, { state: 'done', endedAtMs: 9_000 - endedAtMs, counts: {} }, [])
      await runs.noteAge(endedAtMs, 10)
    }
    await runs.begin({ ...RUN, id: 'R4' }, [], LEASE_MS)
    assert.equal(await runs.noteAge(99, 10), 0, 'it has not ended')
    const retention = { endedBeforeMs: 40, idBefore: 'S', anywayBeforeMs: 10 }
    assert.deepEqual(await runs.expired(retention, 10), ['R2', 'R1'])
    assert.deepEqual(await runs.expired(retention, 1), ['R2'])
    assert.deepEqual(await runs.expired({ ...retention, anywayBeforeMs: 11 }, 1), ['Z1'], 'ahead, and long ended')
    await runs.remove('R2')
    assert.equal(await runs.find('R2'), undefined)
    assert.deepEqual(await runs.nodes('R2', 10), [])
    assert.equal(await runs.begin({ ...RUN, id: 'R2' }, manyNodes(3), LEASE_MS), 'begun')
  })
}
