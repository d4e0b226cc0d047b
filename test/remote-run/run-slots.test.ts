import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { type Caller, sharerOf } from '../../src/network/caller.js'
import { shareOfStrangers } from '../../src/network/sources/fair-slots.js'
import { askedBy, askerNamed } from '../../src/remote-run/progress/new-run.js'
import { CROWDED_RUNS, MAX_RUNS } from '../../src/remote-run/run-slots.js'
import type { RemoteRuns } from '../../src/remote-run/run-types.js'
import { orderOf, startRuns, temporaryFolder, topologyOf } from '../support/parts/remote-runs.js'

/** What is left to callers of networks and proxies. */
const FOR_STRANGERS = (MAX_RUNS * 3) / 4

function start(t: TestContext, folder: string) {
  return startRuns(t, { topology: topologyOf('self', { away: 'self' }), folder, shouldHoldLink: () => true })
}

/** Orders runs of `caller` that wait for a node that is away, until one is refused. @returns how many were taken */
async function orderAll(runs: RemoteRuns, caller: Caller): Promise<number> {
  const orders = Array.from({ length: MAX_RUNS }, () => orderWaiting(runs, caller))
  const settled = await Promise.allSettled(orders)
  for (const outcome of settled) if (outcome.status === 'rejected') assert.equal(outcome.reason.code, 'BUSY')
  return settled.filter(({ status }) => status === 'fulfilled').length
}

function orderWaiting(runs: RemoteRuns, caller: Caller) {
  const order = orderOf({ nodes: ['away'], asynchronous: true, waitUntilMs: Date.now() + 3_600_000 })
  return runs.start({ ...order, origin: { ...order.origin, caller } })
}

test('no source of other callers takes all slots of runs, over a restart neither, and some are left to trusted ones', async t => {
  const folder = temporaryFolder(t)
  const first = await start(t, folder)
  assert.equal(await orderAll(first.runs, { kind: 'network', address: '192.0.2.1' }), FOR_STRANGERS / 2)
  await assert.rejects(
    orderWaiting(first.runs, { kind: 'proxied', address: '192.0.2.1' }),
    /96 of them for 192\.0\.2\.1/
  )
  await orderWaiting(first.runs, { kind: 'network', address: '192.0.2.2' })
  await first.close()

  const { runs } = await start(t, folder)
  assert.equal(runs.status().running, FOR_STRANGERS / 2 + 1)
  await assert.rejects(orderWaiting(runs, { kind: 'network', address: '192.0.2.1' }), { code: 'BUSY' })
  let address = 2
  while ((await orderAll(runs, { kind: 'network', address: `192.0.2.${address}` })) > 0) address += 1
  assert.ok(runs.status().running <= FOR_STRANGERS)
  await orderWaiting(runs, { kind: 'local', address: '127.0.0.1' })
  await orderWaiting(runs, { kind: 'admin', address: '192.0.2.1' })
  await orderWaiting(runs, { kind: 'node', id: 'a', address: '192.0.2.1', isAdmin: true })
  const left = MAX_RUNS - runs.status().running
  assert.equal(await orderAll(runs, { kind: 'policy-server', id: 'root', address: '192.0.2.3' }), left)
})

test('a node whose id is an address takes no slots of the strangers at that address, and is named by its id', async t => {
  const { runs } = await start(t, temporaryFolder(t))
  const node: Caller = { kind: 'node', id: '192.0.2.1', address: '192.0.2.9' }
  assert.equal(await orderAll(runs, node), FOR_STRANGERS / 2)
  await assert.rejects(orderWaiting(runs, node), /96 of them for 192\.0\.2\.1, which/)
  await orderWaiting(runs, { kind: 'network', address: '192.0.2.1' })
})

test('runs are crowded when strangers can have no more', () => {
  assert.equal(shareOfStrangers(MAX_RUNS, CROWDED_RUNS), 0)
  assert.ok(shareOfStrangers(MAX_RUNS, CROWDED_RUNS - 1) > 0)
})

test('the caller that a record names shares slots as it did itself', () => {
  const callers: Caller[] = [
    { kind: 'local', address: '127.0.0.1' },
    { kind: 'policy-server', address: '192.0.2.1' },
    { kind: 'admin', address: '2001:db8::1' },
    { kind: 'relay', id: 'relay-1', address: '192.0.2.1' },
    { kind: 'node', id: '192.0.2.010', address: '192.0.2.1' },
    { kind: 'proxied', address: '::ffff:192.0.2.1' },
    { kind: 'network', address: '2001:db8::1' }
  ]
  for (const caller of callers) assert.deepEqual(sharerOf(askerNamed(askedBy(caller))), sharerOf(caller))
  assert.equal(sharerOf(askerNamed('some-kind 192.0.2.1')).standing, 'stranger', 'of another version')
})
