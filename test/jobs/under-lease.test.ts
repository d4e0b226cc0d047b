import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import type { LeaseRepository } from '../../src/jobs/lease-repository.js'
import { underLease } from '../../src/jobs/under-lease.js'
import { Claims } from '../../src/storage/sqlite/claims.js'
import { createLeaseRepository } from '../../src/storage/sqlite/sqlite-leases.js'
import { silentLogger } from '../../src/values/logging/logger.js'
import { LEASE_MS } from '../../src/values/time/lease.js'
import { eventually } from '../support/eventually.js'

const OPTIONS = { signal: new AbortController().signal, logger: silentLogger, renewalMs: 1 }

function twoProcesses() {
  const clock = { nowMs: 0 }
  const claims = new Claims(() => clock.nowMs)
  return { clock, leases: createLeaseRepository(claims), other: createLeaseRepository(claims.beside()) }
}

test('a job that takes longer than its lease keeps it, and gives it back at its end', async () => {
  const { clock, leases, other } = twoProcesses()
  let renewals = 0
  const watched: LeaseRepository = {
    async claim(job, leaseMs) {
      const lease = await leases.claim(job, leaseMs)
      assert.ok(lease)
      const renew = (ms: number) => lease.renew(ms).finally(() => (renewals += 1))
      return { ...lease, renew }
    }
  }
  const work = async (signal: AbortSignal) => {
    for (let leasesLong = 0; leasesLong < 3; leasesLong += 1) {
      const before = renewals
      clock.nowMs += LEASE_MS - 1
      await eventually('a renewal', () => renewals > before)
      assert.equal(await other.claim('purge', LEASE_MS), undefined)
    }
    assert.equal(signal.aborted, false)
  }
  await underLease(watched, 'purge', work, OPTIONS)
  assert.ok(await other.claim('purge', LEASE_MS))
})

test('a job whose lease another process has ends, and takes nothing from that one', async () => {
  const { clock, leases, other } = twoProcesses()
  await underLease(
    leases,
    'purge',
    async signal => {
      clock.nowMs += LEASE_MS
      assert.ok(await other.claim('purge', LEASE_MS))
      await once(signal, 'abort')
    },
    OPTIONS
  )
  assert.equal(await leases.claim('purge', LEASE_MS), undefined)
})

test('a job that another process does is left to it', async () => {
  const { leases, other } = twoProcesses()
  await other.claim('purge', LEASE_MS)
  await underLease(leases, 'purge', () => assert.fail('it was begun'), OPTIONS)
})
