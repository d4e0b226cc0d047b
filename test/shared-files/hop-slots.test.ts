import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import type { HopRequest } from '../../src/hops/hop.js'
import { SLOT_WAIT_MS } from '../../src/hops/hop-slots.js'
import type { Caller } from '../../src/network/caller.js'
import { MAX_PUTS_PER_HOP } from '../../src/shared-files/forwarding/forwarder.js'
import { MAX_GETS_PER_HOP } from '../../src/shared-files/reading/get-file.js'
import { HEAD_LIMIT_MS, MAX_HEADS_PER_HOP } from '../../src/shared-files/reading/head-file.js'
import { relayOutcome } from '../support/parts/outboxes.js'
import { LOCAL, originOf, outcome, sign, startSharedFiles, TestHop } from '../support/parts/shared-file-relays.js'
import { until } from '../support/relays/existing-relays.js'

const strangerAt = (address: string): Caller => ({ kind: 'network', address })
const relayOf = (id: string): Caller => ({ kind: 'relay', id, address: '192.0.2.9' })
/** What one source of strangers gets of the slots: half of the three quarters that are not reserved. */
const SHARE = (MAX_HEADS_PER_HOP * 3) / 8

/** What a relay gets: half of all but a sixteenth. */
const shareOfRelay = (slots: number) => Math.ceil((slots - Math.floor(slots / 16)) / 2)

/** A relay whose hop says nothing until the request is aborted. */
async function startBeforeSilence(t: TestContext) {
  const down = new TestHop('relay')
  down.answer = silence
  const relay = await startSharedFiles(t, { hops: [down] })
  const origins: AbortController[] = []
  const file = sign('n2/n1/f', 'x')
  const head = (caller: Caller) => {
    const gone = new AbortController()
    origins.push(gone)
    return Promise.resolve(relay.files.head(file.key, file.hash, { ...originOf(caller), signal: gone.signal }))
  }
  const heads = (count: number, caller: Caller) => Array.from({ length: count }, () => head(caller))
  return { relay, down, head, heads, origins }
}

async function silence({ signal }: HopRequest): Promise<never> {
  assert.ok(signal !== undefined)
  if (!signal.aborted) await once(signal, 'abort')
  throw signal.reason
}

test('a stranger has a share of the HEADs at a silent hop; others, and the uploads, go on', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { relay, down, head, heads, origins } = await startBeforeSilence(t)
  const underWay = heads(700, strangerAt('192.0.2.1'))
  let refused = 0
  for (const each of underWay) {
    each.then(
      isThere => {
        if (!isThere) refused += 1
      },
      () => undefined
    )
  }
  await until(() => refused > 0)
  t.mock.timers.tick(SLOT_WAIT_MS)
  await until(() => down.requests.length + refused === 700)
  assert.equal(down.requests.length, SHARE)

  down.answer = request => (request.method === 'HEAD' ? relayOutcome(200) : outcome(200))
  assert.equal(await head(strangerAt('192.0.2.2')), true)
  assert.equal(await head(LOCAL), true)
  assert.equal(await relay.put(sign('n2/n1/other', 'x')), 'stored')

  for (const gone of origins) gone.abort(new Error('the caller has gone'))
  await Promise.allSettled(underWay)
  assert.equal(await head(strangerAt('192.0.2.1')), true, 'the slots are free again')
})

test('a HEAD without an answer in time is 404, and does not make the hop one that has failed', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { relay, down, head } = await startBeforeSilence(t)
  const asked = head(LOCAL)
  await until(() => down.requests.length === 1)
  t.mock.timers.tick(HEAD_LIMIT_MS)
  assert.equal(await asked, false)
  down.answer = () => relayOutcome(200)
  assert.equal(await relay.put(sign('n2/n1/f', 'x')), 'stored')
})

test('where strangers have all their slots, the oldest of the one with the most yields to a newcomer', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { down, head, heads, origins } = await startBeforeSilence(t)
  const all: Promise<boolean>[] = []
  for (let source = 1; source <= 20; source += 1) {
    all.push(...heads(SHARE, strangerAt(`192.0.2.${source}`)))
    await until(() => down.requests.length >= SHARE)
  }
  const settled = Promise.allSettled(all)
  await until(() => down.requests.some(({ signal }) => signal?.aborted === true))
  down.answer = () => relayOutcome(200)
  assert.equal(await head(strangerAt('198.51.100.1')), true)
  for (const gone of origins) gone.abort(new Error('the caller has gone'))
  await settled
})

test('a relay has a share of the HEADs at a silent hop, and another relay gets an answer', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { down, head, heads, origins } = await startBeforeSilence(t)
  const settled = Promise.allSettled(heads(200, relayOf('r1')))
  const share = shareOfRelay(MAX_HEADS_PER_HOP)
  await until(() => down.requests.length >= share)
  down.answer = () => relayOutcome(200)
  assert.equal(await head(relayOf('r2')), true)
  assert.equal(down.requests.length, share + 1)
  for (const gone of origins) gone.abort(new Error('the caller has gone'))
  await settled
})

test('a source has a share of the PUTs at a silent hop; the outbox keeps the others', async t => {
  const { relay, down, origins } = await startBeforeSilence(t)
  const share = shareOfRelay(MAX_PUTS_PER_HOP)
  const put = (name: string, id: string) => {
    const gone = new AbortController()
    origins.push(gone)
    return relay.put(sign(`n2/n1/${name}`, name), { origin: { ...originOf(relayOf(id)), signal: gone.signal } })
  }
  const all = Array.from({ length: share + 4 }, (_, index) => put(`f${index}`, 'r1'))
  const kept: string[] = []
  for (const each of all) {
    each.then(
      result => kept.push(result),
      () => undefined
    )
  }
  await until(() => kept.length === 4)
  assert.deepEqual(new Set(kept), new Set(['pending']))
  down.answer = () => relayOutcome(200)
  assert.equal(await put('other', 'r2'), 'stored')
  for (const gone of origins) gone.abort(new Error('the caller has gone'))
  await Promise.allSettled(all)
})

test('a node has a share of the GETs at a hop, each until its reader has the file', async t => {
  const node: Caller = { kind: 'node', id: 'n2', address: '192.0.2.7' }
  const above: Caller = { kind: 'policy-server', address: '192.0.2.8' }
  const { relay, down } = await startBeforeSilence(t)
  down.answer = () => relayOutcome(200, 'the file')
  const get = async (caller: Caller) => {
    const found = await relay.files.get(sign('n2/n1/f', 'x').key, originOf(caller), {})
    assert.ok(found.kind === 'relayed')
    return found.body
  }
  const most = (MAX_GETS_PER_HOP * 3) / 8
  const bodies = await Promise.all(Array.from({ length: most }, () => get(node)))
  const [first] = bodies
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const refused = assert.rejects(get(node), /too many files are being fetched through relay/)
  const fromAbove = await get(above)
  t.mock.timers.tick(SLOT_WAIT_MS)
  await refused
  assert.ok(first !== undefined)
  for await (const _ of first) void _
  bodies.push(fromAbove, await get(node))
  for (const body of bodies) body.destroy()
})
