import assert from 'node:assert/strict'
import type { RunRepository } from '../../../src/remote-run/records/run-repository.js'
import { eventually } from '../../support/eventually.js'
import { LEASE_MS, manyNodes, nodeOf, RUN, type RunRepositoryFactory } from './run-records.js'

/** Adds a test, of a repository that was just opened. */
export type Check = (
  sentence: string,
  body: (factory: RunRepositoryFactory, runs: RunRepository) => Promise<void>
) => void

/** The part of the contract of a {@link RunRepository} about who may change a run. */
export function testRunOwnership(check: Check): void {
  check('a run belongs to the process that began or claimed it, until that process is gone', async (factory, runs) => {
    await runs.begin(RUN, [], LEASE_MS)
    await runs.begin({ ...RUN, id: 'R0' }, [], LEASE_MS)
    assert.deepEqual(await runs.claimAbandoned(LEASE_MS), [])
    const next = factory.open()
    assert.deepEqual(await next.claimAbandoned(LEASE_MS), ['R0', 'R1'])
    assert.deepEqual(await next.claimAbandoned(LEASE_MS), [])
    await next.interrupt('R0', { state: 'interrupted', endedAtMs: 1 }, '')
    assert.deepEqual(await factory.open().claimAbandoned(LEASE_MS), ['R1'])
  })

  check('an unfinished run has one owner, however many living processes claim it at once', async (factory, runs) => {
    await runs.begin(RUN, [], LEASE_MS)
    const [second, third] = [factory.openBeside(), factory.openBeside()]
    assert.deepEqual(await second.claimAbandoned(LEASE_MS), [], 'its owner lives')
    const next = factory.open()
    const claims = await Promise.all(
      [next, factory.openBeside(), factory.openBeside()].map(r => r.claimAbandoned(LEASE_MS))
    )
    assert.deepEqual(claims.flat(), ['R1'])
    assert.equal(await third.note('R1', [nodeOf('a')]), 'lost')
  })

  check(
    'a run whose lease has ended is taken over while its former owner lives, and a renewed one is not',
    async (factory, runs) => {
      await runs.begin(RUN, [], 1)
      await runs.begin({ ...RUN, id: 'R2' }, [], 1)
      assert.deepEqual(await runs.renew(['R2', 'none'], LEASE_MS), ['none'])
      const other = factory.openBeside()
      const claimed = await eventually('the lease to end', async () => {
        const ids = await other.claimAbandoned(LEASE_MS)
        return ids.length > 0 && ids
      })
      assert.deepEqual(claimed, ['R1'])
      assert.deepEqual(await runs.claimAbandoned(LEASE_MS), [])
      assert.deepEqual(await runs.renew(['R1', 'R2'], LEASE_MS), ['R1'])
      assert.deepEqual(await other.renew(['R1', 'R2'], LEASE_MS), ['R2'])
    }
  )

  check('an owner that was late changes nothing, and the next owner everything', async (factory, runs) => {
    const via = 'relay'
    await runs.begin(RUN, [nodeOf('a', { via }), nodeOf('b', { via })], 1)
    const next = factory.openBeside()
    await eventually('the lease to end', async () => (await next.claimAbandoned(LEASE_MS)).length === 1)
    const done = [nodeOf('a', { via, outcome: 'done', exitCode: 0 })]
    const end = { state: 'done', endedAtMs: 5, counts: { done: 1 } } as const
    const late = [
      await runs.note('R1', done),
      await runs.end('R1', end, done),
      await runs.end('R1', end, manyNodes(1_200)),
      await runs.interrupt('R1', { state: 'interrupted', endedAtMs: 5 }, 'late'),
      await runs.markGiven('R1', ['a'])
    ]
    assert.deepEqual(late, Array(5).fill('lost'))
    assert.deepEqual(await next.nodes('R1', 10), [nodeOf('a', { via }), nodeOf('b', { via })])
    assert.equal((await next.find('R1'))?.state, 'running')
    assert.equal(await next.markGiven('R1', ['a']), 'done')
    assert.equal(await runs.unmarkGiven('R1', ['a']), 'lost')
    assert.equal((await next.nodes('R1', 1))[0]?.outcome, 'running')
    assert.equal(await next.note('R1', done), 'done')
    assert.equal(await next.end('R1', end, []), 'done')
    assert.equal(await next.note('R1', [nodeOf('b', { via, outcome: 'refused' })]), 'lost', 'it has ended')
  })

  check('a lease that ended takes nothing from an owner that nobody has replaced', async (factory, runs) => {
    await runs.begin(RUN, [nodeOf('a')], 0)
    assert.equal(await runs.note('R1', [nodeOf('a', { outcome: 'refused' })]), 'done')
    assert.deepEqual(await runs.renew(['R1'], LEASE_MS), [])
    assert.deepEqual(await factory.openBeside().claimAbandoned(LEASE_MS), [])
  })
}
