import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LeaseRepository } from '../../../src/jobs/lease-repository.js'
import { eventually } from '../../support/eventually.js'

/** An implementation to check. */
export interface LeaseRepositoryFactory {
  /** The repository of a process. Opened again, without an end of the former: that process crashed. */
  open(): LeaseRepository
  /** The repository of one more process, which lives beside the last one that was opened. */
  openBeside(): LeaseRepository
}

const LEASE_MS = 3_600_000

/** Everything that a {@link LeaseRepository} promises, as tests of the implementation that `create` makes. */
export function testLeaseRepository(name: string, create: () => LeaseRepositoryFactory): void {
  const check = (sentence: string, body: (factory: LeaseRepositoryFactory, leases: LeaseRepository) => Promise<void>) =>
    test(`${name}: ${sentence}`, async () => {
      const factory = create()
      await body(factory, factory.open())
    })

  check('a job has one holder at a time among all processes, and each job its own', async (factory, leases) => {
    const other = factory.openBeside()
    const asked = [leases, other, leases, factory.openBeside()]
    const claims = await Promise.all([
      ...asked.map(repository => repository.claim('purge', LEASE_MS)),
      other.claim('other', LEASE_MS)
    ])
    assert.equal(claims.slice(0, 4).filter(lease => lease !== undefined).length, 1)
    assert.ok(claims[4])
    assert.equal(await other.claim('purge', LEASE_MS), undefined)
    for (const lease of claims.slice(0, 4)) await lease?.release()
    assert.ok(await other.claim('purge', LEASE_MS))
  })

  check('a lease that ended is free, and its late holder takes nothing from the next one', async (factory, leases) => {
    const first = await leases.claim('purge', 1)
    const next = await eventually('the lease to end', () => factory.openBeside().claim('purge', LEASE_MS))
    assert.equal(await first?.renew(LEASE_MS), false)
    await first?.release()
    assert.equal(await leases.claim('purge', LEASE_MS), undefined)
    assert.equal(await next.renew(LEASE_MS), true)
  })

  check('a renewed lease lasts, also one that had ended and that nobody took', async (factory, leases) => {
    const lease = await leases.claim('purge', 0)
    assert.equal(await lease?.renew(LEASE_MS), true)
    assert.equal(await factory.openBeside().claim('purge', LEASE_MS), undefined)
    await lease?.release()
    assert.equal(await lease?.renew(LEASE_MS), false, 'it was given back')
  })

  check('a process that is gone holds a job no longer than its lease', async (factory, leases) => {
    await leases.claim('purge', 1)
    const next = factory.open()
    assert.ok(await eventually('the lease to end', () => next.claim('purge', LEASE_MS)))
  })
}
