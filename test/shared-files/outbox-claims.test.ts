import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { OutboxRepository } from '../../src/shared-files/forwarding/outbox-repository.js'
import { Claims } from '../../src/storage/sqlite/claims.js'
import { createOutboxRepository } from '../../src/storage/sqlite/sqlite-outbox.js'
import { LEASE_MS } from '../../src/values/time/lease.js'
import { eventually } from '../support/eventually.js'
import { outcome, sign, startSharedFiles, TestHop } from '../support/shared-file-relays.js'

const ANY_TIME = { nowMs: Number.MAX_SAFE_INTEGER, latestMs: Number.MAX_SAFE_INTEGER, withUnreached: true }

/**
 * A relay that stands still while it hands on an entry, for longer than its lease, so that another process claims it.
 * Then the hop answers `status`.
 */
async function handOnTooLate(t: TestContext, status: number) {
  let standsMs = 0
  const claims = new Claims(() => standsMs)
  const down = new TestHop('relay')
  const root = await startSharedFiles(t, { hops: [down], claims })
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
  assert.deepEqual(readdirSync(join(root.folder, 'shared-files/.outbox~')), [id])
  assert.equal(await other.finish(id), 'done')
})

test('an entry that another process has claimed meanwhile is not marked as refused', async t => {
  const { other } = await handOnTooLate(t, 403)
  const { id, state, attempts } = await onlyEntry(other)
  assert.deepEqual([state, attempts], ['pending', 1])
  assert.deepEqual(await other.renew([id], LEASE_MS), [], 'its claim stays as well')
})
