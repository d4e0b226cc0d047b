import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { AcceptanceClock } from '../../src/shared-files/acceptance-clock.js'

/** A relay with a clock that can be set; `restart` forgets all but what was written. */
function setUp(nowMs = 0) {
  const clock = { nowMs, markMs: 0, writes: 0 }
  const start = () =>
    new AcceptanceClock({
      now: () => clock.nowMs,
      markMs: clock.markMs,
      writeMark: async ms => {
        clock.writes += 1
        clock.markMs = ms
      }
    })
  let acceptance = start()
  return {
    clock,
    restart: () => {
      acceptance = start()
    },
    accept: (toldMs?: number, hereMs: readonly number[] = []) => acceptance.accept(toldMs, hereMs)
  }
}

test('the later of two files counts as accepted later, also when the clock was set back in between', async () => {
  const relay = setUp(100_000)
  assert.equal(await relay.accept(), 100_000)
  assert.equal(await relay.accept(), 100_001)
  relay.clock.nowMs = 50_000
  assert.equal(await relay.accept(), 100_002)
  relay.clock.nowMs = 105_000
  assert.equal(await relay.accept(), 105_000)
  assert.equal(relay.clock.writes, 1, 'it writes now and then')
  relay.clock.nowMs = 50_000
  relay.restart()
  assert.ok((await relay.accept()) > 105_000)
})

test('a time in the past that another relay told counts; one that is ahead is only later than all that is here', async () => {
  const relay = setUp(1_000)
  assert.equal(await relay.accept(900, [950]), 900)
  assert.equal(await relay.accept(5_000), 1_000)
  assert.equal(await relay.accept(5_000, [400]), 1_001)
})

test('a copy here that is from the future blocks no later one, and moves no other file into the future', async () => {
  const relay = setUp(1_000)
  assert.equal(await relay.accept(900, [99_000]), 99_001)
  assert.equal(await relay.accept(undefined, [99_000]), 99_001)
  assert.equal(await relay.accept(), 1_002)
})

test('what is passed on through a relay whose clock is set back stays in order', async () => {
  const relay = setUp(100_000)
  const first = await relay.accept(99_990)
  relay.clock.nowMs = 40_000
  relay.restart()
  assert.ok((await relay.accept(100_500)) > first)
})

test('property: whatever happens to the clocks of two relays, and whichever is restarted, the copy put last is kept', async () => {
  const happening = fc.oneof(
    fc.record({ what: fc.constant('put' as const) }),
    fc.record({
      what: fc.constant('step' as const),
      who: fc.nat(1),
      byMs: fc.integer({ min: -600_000, max: 600_000 })
    }),
    fc.record({ what: fc.constant('restart' as const), who: fc.nat(1) })
  )
  await fc.assert(
    fc.asyncProperty(fc.array(happening, { maxLength: 30 }), async happenings => {
      const relays = [setUp(10_000_000), setUp(10_000_000)] as const
      let keptMs: number | undefined
      for (const one of happenings) {
        for (const relay of relays) relay.clock.nowMs += 10 // time goes on
        if (one.what === 'step') {
          const relay = relays[one.who]
          if (relay !== undefined) relay.clock.nowMs += one.byMs
        } else if (one.what === 'restart') relays[one.who]?.restart()
        else {
          const arrivedMs = await relays[1].accept(await relays[0].accept(), keptMs === undefined ? [] : [keptMs])
          assert.ok(keptMs === undefined || arrivedMs >= keptMs, `${arrivedMs} after ${keptMs}`)
          keptMs = arrivedMs
        }
      }
    })
  )
})
