import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { ExpiryWatch } from '../../src/membership/root/expiry.js'
import { silentLogger } from '../../src/values/logging/logger.js'
import { eventually } from '../support/eventually.js'

const END_MS = 1_000

/** Watches one certificate, which ends at {@link END_MS}. */
function startWatch(t: TestContext, publish: () => Promise<void> = () => Promise.resolve(), lines: string[] = []) {
  const clock = { nowMs: 0, looks: 0, isBehind: false, isFull: false }
  let published = 0
  const watch = new ExpiryWatch(
    {
      repository: { nextEnd: async afterMs => (afterMs < END_MS ? END_MS : undefined) },
      isBehind: async () => clock.isBehind,
      forget: async () => {
        if (clock.isFull) throw new Error('full')
      },
      publish: async () => {
        published += 1
        await publish()
      },
      logger: { ...silentLogger, error: (_details, message) => void lines.push(message) },
      now: () => {
        clock.looks += 1
        return clock.nowMs
      }
    },
    1
  )
  t.after(() => watch.stop())
  watch.start()
  const looked = async () => {
    const before = clock.looks
    await eventually('two more looks', () => clock.looks > before + 1)
  }
  return { clock, looked, published: () => published }
}

test('the tree is made anew when a certificate ends, and when the clock is set back: it may not have ended yet', async t => {
  const { clock, looked, published } = startWatch(t)
  await looked()
  assert.equal(published(), 0)
  clock.nowMs = 2_000
  await eventually('the end', () => published() === 1)
  await looked()
  assert.equal(published(), 1)
  clock.nowMs = 500
  await eventually('its return', () => published() === 2)
  await looked()
  assert.equal(published(), 2)
})

test('a tree that could not be made anew is tried again', async t => {
  let failures = 0
  const { clock, looked, published } = startWatch(t, async () => {
    failures += 1
    if (failures < 3) throw new Error('the disk is full')
  })
  clock.nowMs = 2_000
  await eventually('the third try', () => published() === 3)
  await looked()
  assert.equal(published(), 3)
})

test('what could not be made the tree is made so later, and its fault is logged once', async t => {
  const lines: string[] = []
  let isBroken = true
  let tried = 0
  const publish = async () => {
    tried += 1
    // the temporary file has another name each time
    if (isBroken)
      throw Object.assign(new Error(`ENOSPC: no space left on device, open '.${tried}~'`), { code: 'ENOSPC' })
    clock.isBehind = false
  }
  const { clock, looked, published } = startWatch(t, publish, lines)
  clock.isBehind = true
  await eventually('three tries', () => published() >= 3)
  assert.equal(lines.length, 1)
  isBroken = false
  await eventually('the tree', () => !clock.isBehind)
  const tries = published()
  await looked()
  assert.equal(published(), tries)
})

test('what cannot be forgotten keeps no certificate in the tree', async t => {
  const lines: string[] = []
  const { clock, published } = startWatch(t, undefined, lines)
  clock.isFull = true
  clock.nowMs = END_MS
  await eventually('it is published', () => published() > 0)
  assert.match(lines[0] ?? '', /cannot forget/)
})
