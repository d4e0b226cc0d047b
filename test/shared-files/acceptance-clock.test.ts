import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isOlder } from '../../src/shared-files/keeping/file-record.js'
import { AcceptanceClock } from '../../src/shared-files/receiving/acceptance-clock.js'

const NOW_MS = Date.UTC(2026, 5, 1)
const DAY_MS = 24 * 3_600_000

/** A relay with a clock that can be set; `restart` forgets all but what was written. @param certainMs never the clock's */
function setUp(nowMs = 0, certainMs?: number) {
  const clock = { nowMs, markMs: 0, writes: 0 }
  const start = () =>
    new AcceptanceClock({
      now: () => clock.nowMs,
      raiseMark: async (ms, latestMs) => {
        const before = clock.markMs > latestMs ? 0 : clock.markMs
        clock.writes += 1
        clock.markMs = Math.max(before, ms)
        return before
      },
      certainTime: async () => certainMs
    })
  let acceptance = start()
  return {
    clock,
    start,
    restart: () => {
      acceptance = start()
    },
    next: (hereMs: readonly number[] = [], statedMs?: number) => acceptance.acceptedAt(statedMs, hereMs)
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
    const asked = processes.flatMap(process => Array.from({ length: 5 }, () => process.acceptedAt(undefined, [])))
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

test('a clock that was far ahead once dates no later files, with or without a restart', async () => {
  for (const isRestarted of [false, true]) {
    const relay = setUp(NOW_MS)
    await relay.next()
    relay.clock.nowMs = Date.UTC(2100, 0, 1)
    const ahead = await relay.next()
    assert.equal(ahead, relay.clock.nowMs)
    relay.clock.nowMs = NOW_MS + 1_000
    if (isRestarted) relay.restart()
    assert.equal(await relay.next([ahead]), NOW_MS + 1_000)
    assert.ok(relay.clock.markMs < NOW_MS + 2_000)
  }
})

test('what a clock gave that was ahead by hours is given up once the clock is right, and not when it is behind', async () => {
  const HALF_DAY_MS = DAY_MS / 2
  const HOUR_MS = 3_600_000
  for (const isRestarted of [false, true]) {
    for (const [aheadMs, thenMs, isGivenUp] of [
      [HALF_DAY_MS, 1_000, true],
      [600_000, 1_000, true],
      [30_000, 1_000, false],
      [0, -HALF_DAY_MS, false],
      [HALF_DAY_MS, HOUR_MS - HALF_DAY_MS, false]
    ] as const) {
      const relay = setUp(NOW_MS, NOW_MS)
      await relay.next()
      relay.clock.nowMs = NOW_MS + aheadMs
      const ahead = await relay.next()
      relay.clock.nowMs = NOW_MS + thenMs
      if (isRestarted) relay.restart()
      const next = await relay.next()
      if (isGivenUp) assert.equal(next, NOW_MS + thenMs)
      else assert.ok(next > ahead)
      assert.ok((await relay.next([ahead])) > ahead, 'than a copy that is here')
    }
  }
})

test('a time is given at once wherever the mark is', async () => {
  for (let aheadMs = DAY_MS - 250; aheadMs < DAY_MS + 250; aheadMs += 10) {
    const relay = setUp(NOW_MS)
    relay.clock.markMs = NOW_MS + aheadMs
    assert.ok((await relay.next()) >= NOW_MS)
    assert.ok(relay.clock.writes <= 3)
  }
})

test('a clock that is set back by hours, or starts in 1970, gives later times all the same', async () => {
  for (const nowMs of [NOW_MS - DAY_MS + 1_000, 0]) {
    const relay = setUp(NOW_MS)
    await relay.next()
    relay.clock.nowMs = nowMs
    relay.restart()
    assert.ok((await relay.next()) > NOW_MS)
  }
})

test('a stated time that is ahead of the clock here by more than clocks differ counts as now', async () => {
  const relay = setUp(NOW_MS)
  assert.equal(await relay.next([], NOW_MS - DAY_MS), NOW_MS - DAY_MS)
  assert.equal(await relay.next([], NOW_MS + 60_000), NOW_MS + 60_000)
  assert.equal(await relay.next([], NOW_MS + 60_001), NOW_MS)
  assert.equal(await relay.next([NOW_MS + 5], 7e15), NOW_MS + 6)
  assert.equal(await relay.next([NOW_MS + 90_000], NOW_MS + 80_000), NOW_MS + 80_000, 'both are ahead: compared')
  assert.equal(await relay.next([7e15], 6e15), NOW_MS + 2)
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
      const relay = setUp(NOW_MS)
      const keeper = setUp(NOW_MS)
      let kept = 0
      for (const one of happenings) {
        relay.clock.nowMs += 10 // time goes on
        keeper.clock.nowMs += 10
        if (one.what === 'step') relay.clock.nowMs += one.byMs
        else if (one.what === 'step of the keeper') keeper.clock.nowMs += one.byMs
        else if (one.what === 'restart') relay.restart()
        else {
          const acceptedAtMs = await keeper.next([kept], await relay.next())
          assert.equal(isOlder(age(acceptedAtMs), age(kept), keeper.clock.nowMs), false)
          kept = acceptedAtMs
        }
      }
    })
  )
})
