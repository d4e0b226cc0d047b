import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LeaseRepository } from '../../../src/jobs/lease-repository.js'

/** An implementation to check. */
export interface LeaseRepositoryFactory {
  /** @param now ms of the clock that leases go by */
  open(now: () => number): LeaseRepository
}

/** Everything that a {@link LeaseRepository} promises, as tests of the implementation that `create` makes. */
export function testLeaseRepository(name: string, create: () => LeaseRepositoryFactory): void {
  test(`${name}: a job has one holder at a time, and each job its own`, async () => {
    const leases = create().open(() => 0)
    const claims = await Promise.all([leases.claim('purge', 10), leases.claim('purge', 10), leases.claim('other', 10)])
    assert.deepEqual(
      claims.map(lease => lease !== undefined),
      [true, false, true]
    )
    await claims[0]?.release()
    assert.ok(await leases.claim('purge', 10))
  })

  test(`${name}: a lease that ended is free, and its late release takes nothing from the next holder`, async () => {
    let nowMs = 0
    const leases = create().open(() => nowMs)
    const first = await leases.claim('purge', 10)
    nowMs = 9
    assert.equal(await leases.claim('purge', 10), undefined)
    nowMs = 10
    assert.ok(await leases.claim('purge', 10))
    await first?.release()
    assert.equal(await leases.claim('purge', 10), undefined)
  })
}
