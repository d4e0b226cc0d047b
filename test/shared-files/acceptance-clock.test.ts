import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isOlder } from '../../src/shared-files/keeping/file-record.js'
import { AcceptanceClock } from '../../src/shared-files/receiving/acceptance-clock.js'

/** A relay with a clock that can be set; `restart` forgets all but what was written. */
function setUp(nowMs = 0) {
  const clock = { nowMs, markMs: 0, writes: 0 }
  const start = () =>
    new AcceptanceClock({
      now: () => clock.nowMs,
      raiseMark: async ms => {
        const before = clock.markMs
        clock.writes += 1
        clock.markMs = Math.max(before, ms)
        return before
      }
    })
  let acceptance = start()
  return {
    clock,
    start,
    restart: () => {
      acceptance = start()
    },
    next: (hereMs: readonly number[] = []) => acceptance.next(hereMs)
  }
}

test('the later of two files counts as accepted later, also when the clock was set back in between', async () => {
  const relay = setUp(100_000)
  assert.equal(await relay.next(), 100_000)
  assert.equal(await relay.next(), 100_001)
  relay.clock.nowMs = 50_000
  assert.equal(await relay.next(), 100_002)
  relay.clock.nowMs = 100_090
  assert.equal(await relay.next(), 100_090)
  assert.equal(relay.clock.writes, 1, 'it writes now and then')
  relay.clock.nowMs = 50_000
  relay.restart()
  assert.ok((await relay.next()) > 100_090)
})

test('after a kill and a start, times are those of the clock: a file that another relay accepts later is the newer one', async () => {
  const relay = setUp(100_000)
  await relay.next()
  relay.clock.nowMs += 150 // no relay starts faster
  relay.restart()
  assert.equal(await relay.next(), relay.clock.nowMs)
})

test('processes that share the mark never give the same time, wherever their clock is set', async () => {
  const relay = setUp(100_000)
  const processes = [relay.start(), relay.start(), relay.start()]
  const given: number[] = []
  for (const stepMs of [0, 400, 5_000, -3_000, 0, 1_000]) {
    relay.clock.nowMs += stepMs
    const asked = processes.flatMap(process => Array.from({ length: 5 }, () => process.next([])))
    given.push(...(await Promise.all(asked)))
  }
  assert.equal(new Set(given).size, given.length)
  for (const ms of given) assert.ok(ms < relay.clock.markMs)
  assert.ok(relay.clock.markMs < 110_000, 'they do not drive one another on')
})

test('it is later than the copies that are here; one from the future moves no other file there', async () => {
  const relay = setUp(1_000)
  assert.equal(await relay.next([1_000, 99_000]), 99_001)
  assert.equal(await relay.next(), 1_001)
})

test('property: wherever clocks are set, and whenever it is restarted, no copy is older than one put before', async () => {
  const happening = fc.oneof(
    fc.constant({ what: 'put' as const }),
    fc.record({ what: fc.constant('step' as const), byMs: fc.integer({ min: -600_000, max: 600_000 }) }),
    fc.record({ what: fc.constant('step of the keeper' as const), byMs: fc.integer({ min: -600_000, max: 600_000 }) }),
    fc.constant({ what: 'restart' as const })
  )
  const age = (acceptedAtMs: number) => ({ acceptedAtMs, signedAtMs: undefined, expiresAtMs: Number.MAX_SAFE_INTEGER })
  await fc.assert(
    fc.asyncProperty(fc.array(happening, { maxLength: 30 }), async happenings => {
      const relay = setUp(10_000_000)
      let keeperMs = 10_000_000
      let kept = 0
      for (const one of happenings) {
        relay.clock.nowMs += 10 // time goes on
        keeperMs += 10
        if (one.what === 'step') relay.clock.nowMs += one.byMs
        else if (one.what === 'step of the keeper') keeperMs += one.byMs
        else if (one.what === 'restart') relay.restart()
        else {
          const acceptedAtMs = await relay.next()
          assert.equal(isOlder(age(acceptedAtMs), age(kept), keeperMs), false)
          kept = acceptedAtMs
        }
      }
    })
  )
})
