import assert from 'node:assert/strict'
import { test } from 'node:test'
import { JoinAdmission } from '../../src/membership/root/joining/join-admission.js'
import type { Caller } from '../../src/network/caller.js'
import { RelayError } from '../../src/values/failures/relay-error.js'

const network = (address: string): Caller => ({ kind: 'network', address })
const joined = async () => 'joined'
const refused = async () => {
  throw new RelayError('FORBIDDEN', 'this join token is not known')
}

test('whoever guesses at a token is held up, and who joins from behind the same address with another one is not', async () => {
  const admission = new JoinAdmission(() => 0)
  const nat = network('192.0.2.1')
  for (let guess = 0; guess < 600; guess++) {
    await assert.rejects(admission.run(nat, `0123456789ab.${guess}.x`, refused), { code: 'FORBIDDEN' })
  }
  await assert.rejects(admission.run(nat, '0123456789ab.right.x', joined), { code: 'BUSY' })
  assert.equal(await admission.run(nat, 'ba9876543210.right.x', joined), 'joined')
  assert.equal(await admission.run(network('192.0.2.2'), '0123456789ab.right.x', joined), 'joined')
})

test('a node that guesses at a token is held up at every address, and another one at the same address is not', async () => {
  const admission = new JoinAdmission(() => 0)
  const node = (id: string, address: string): Caller => ({ kind: 'node', id, address })
  for (let guess = 0; guess < 600; guess++) {
    const caller = node('node-h', `192.0.2.${guess % 200}`)
    await assert.rejects(admission.run(caller, `0123456789ab.${guess}.x`, refused), { code: 'FORBIDDEN' })
  }
  await assert.rejects(admission.run(node('node-h', '198.51.100.1'), '0123456789ab.right.x', joined), { code: 'BUSY' })
  assert.equal(await admission.run(node('node-1', '192.0.2.1'), '0123456789ab.right.x', joined), 'joined')
})

test('thousands may join from behind one address', async () => {
  const admission = new JoinAdmission(() => 0)
  for (let count = 0; count < 2_000; count++) await admission.run(network('192.0.2.1'), 'token.secret', joined)
})

test('a /64 network that fills its slots leaves some for others, and the reserve for known relays', async () => {
  const admission = new JoinAdmission(() => 0)
  let finish: () => void = () => undefined
  const end = new Promise<void>(resolve => {
    finish = resolve
  })
  const busy = Array.from({ length: 256 }, (_, index) =>
    admission
      .run(network(`2001:db8::${index.toString(16)}`), 'token', () => end)
      .then(
        () => 'done',
        (error: unknown) => (error instanceof RelayError ? error.code : 'unexpected')
      )
  )
  assert.equal(await admission.run(network('2001:db8:0:1::1'), 'token', joined), 'joined')
  assert.equal(await admission.run({ kind: 'relay', id: 'relay-a', address: '2001:db8::1' }, 'token', joined), 'joined')
  finish()
  const outcomes = await Promise.all(busy)
  assert.equal(outcomes.filter(one => one === 'done').length, 96)
  assert.equal(outcomes.filter(one => one === 'BUSY').length, 160)
})

test('where sources of strangers hold all slots, one that has none gets the oldest of the largest', async () => {
  const admission = new JoinAdmission(() => 0)
  /** As of a relay whose policy server does not answer. */
  const stalled = (evicted: AbortSignal) =>
    new Promise<string>((_resolve, reject) => {
      evicted.addEventListener('abort', () => reject(new Error('cancelled')))
    })
  const busy: string[] = []
  for (let source = 0; source < 20; source += 1) {
    for (let count = 0; count < 200; count += 1) {
      admission
        .run(network(`192.0.2.${source}`), 'token', stalled)
        .catch((error: unknown) => busy.push(error instanceof RelayError ? error.message : String(error)))
    }
  }
  await new Promise(setImmediate)
  const slotsOfStrangers = 192
  assert.equal(busy.length, 20 * 200 - slotsOfStrangers)
  assert.equal(await admission.run(network('198.51.100.1'), 'token', joined), 'joined')
  await new Promise(setImmediate)
  assert.equal(busy.length, 20 * 200 - slotsOfStrangers + 1)
  assert.match(busy.at(-1) ?? '', /another one needed this slot; try again/)
})

for (const [hostile, most] of [
  [{ kind: 'node', id: 'node-h', address: '192.0.2.1' }, 96],
  [{ kind: 'relay', id: 'relay-h', address: '192.0.2.1' }, 120]
] as const) {
  test(`one ${hostile.kind} with its certificate cannot hold all joins, whatever addresses it comes from`, async () => {
    const admission = new JoinAdmission(() => 0)
    let ends: () => void = () => undefined
    const end = new Promise<void>(resolve => {
      ends = resolve
    })
    let refusals = 0
    const underWay = Array.from({ length: 256 }, (_, index) =>
      admission
        .run({ ...hostile, address: `192.0.2.${index}` }, 'token', () => end)
        .catch(() => {
          refusals += 1
        })
    )
    for (const caller of [
      { ...hostile, id: 'another' },
      network('192.0.2.1'),
      { ...hostile, kind: 'local' } as const
    ]) {
      assert.equal(await admission.run(caller, 'token', joined), 'joined')
    }
    ends()
    await Promise.all(underWay)
    assert.equal(refusals, 256 - most)
  })
}
