import assert from 'node:assert/strict'
import { once, setMaxListeners } from 'node:events'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { HopSlots, MAX_CONNECTIONS_PER_NEIGHBOUR, SLOT_WAIT_MS } from '../../src/hops/hop-slots.js'
import { MAX_AT_ONCE as MAX_JOINS } from '../../src/membership/root/joining/join-admission.js'
import { type Caller, sharerOf } from '../../src/network/caller.js'
import { MAX_PUTS_PER_HOP } from '../../src/shared-files/forwarding/forwarder.js'
import { MAX_HEADS_PER_HOP } from '../../src/shared-files/reading/head-file.js'
import { MAX_TRACES_PER_HOP } from '../../src/trace/trace.js'

const { signal } = new AbortController()
setMaxListeners(0, signal)
const relayOf = (id: string): Caller => ({ kind: 'relay', id, address: '192.0.2.1' })
const ABOVE: Caller = { kind: 'policy-server', address: '192.0.2.1' }
const LOCAL: Caller = { kind: 'local', address: '127.0.0.1' }

/** Asks for more slots than there are. @returns how many it has at once, and how to give them back */
async function takeAll(slots: HopSlots, hop: string, caller: Caller) {
  const taken: (() => void)[] = []
  for (let asked = 0; asked < 20; asked += 1) {
    slots.take(hop, { caller, signal }).then(
      leave => leave !== undefined && taken.push(leave),
      () => undefined
    )
  }
  await nextTurn()
  return taken
}

test('whatever is passed on for others leaves connections to a hop for the rest', () => {
  const ofOthers = MAX_HEADS_PER_HOP + MAX_PUTS_PER_HOP + MAX_TRACES_PER_HOP + MAX_JOINS // a trusted caller may have all
  assert.ok(ofOthers < MAX_CONNECTIONS_PER_NEIGHBOUR, `${ofOthers} of ${MAX_CONNECTIONS_PER_NEIGHBOUR}`)
})

test('the slots of one hop are no slots of another one; a relay has a share, the policy server all that are free', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const slots = new HopSlots(16)
  const counts: number[] = []
  for (const [hop, caller] of [
    ['a', relayOf('r1')],
    ['a', relayOf('r2')],
    ['b', ABOVE],
    ['a', ABOVE],
    ['a', LOCAL]
  ] as const) {
    counts.push((await takeAll(slots, hop, caller)).length)
    t.mock.timers.tick(SLOT_WAIT_MS) // those that wait get none
    await nextTurn()
  }
  assert.deepEqual(counts, [8, 4, 16, 4, 0])
})

test('neighbours do not evict one another: who has no slot waits for one, in the order of coming', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const slots = new HopSlots(1)
  const evicted: string[] = []
  const take = (caller: Caller) => slots.take('a', { caller, signal }, () => evicted.push(caller.id ?? caller.kind))
  const leave = await take(relayOf('r1'))
  const order: string[] = []
  const waiting = ['r2', 'r3'].map(async id => {
    const given = await take(relayOf(id))
    order.push(id)
    given?.()
  })
  await nextTurn()
  assert.deepEqual(order, [])
  leave?.()
  await Promise.all(waiting)
  assert.deepEqual([order, evicted], [['r2', 'r3'], []])

  const gone = new AbortController()
  const again = await take(relayOf('r1'))
  const late = take(relayOf('r2'))
  const aborted = slots.take('a', { caller: relayOf('r3'), signal: gone.signal })
  gone.abort(new Error('the caller has gone'))
  await assert.rejects(aborted, /the caller has gone/)
  t.mock.timers.tick(SLOT_WAIT_MS)
  assert.equal(await late, undefined)
  again?.()
})

test('work says whether it took too long, was evicted, or found no slot', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const slots = new HopSlots(4)
  const stranger = (address: string): Caller => ({ kind: 'network', address })
  const work = (caller: Caller) =>
    slots.during('a', { caller, signal }, 3 * SLOT_WAIT_MS, ending =>
      once(ending, 'abort').then(() => ending.throwIfAborted())
    )
  const held = ['192.0.2.1', '192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.2'].map(address => work(stranger(address)))
  await nextTurn()
  t.mock.timers.tick(SLOT_WAIT_MS)
  await nextTurn()
  t.mock.timers.tick(2 * SLOT_WAIT_MS)
  const kinds = (await Promise.all(held)).map(({ kind }) => kind)
  assert.deepEqual(kinds, ['evicted', 'late', 'late', 'late', 'no-slot'])
})

test('the policy server is a source of its own, whatever address it comes from', () => {
  const sources = [ABOVE, { ...ABOVE, address: '' }, { kind: 'network', address: ABOVE.address } as const].map(
    caller => sharerOf(caller).source
  )
  assert.deepEqual(sources, ['policy server', 'policy server', ABOVE.address])
})
