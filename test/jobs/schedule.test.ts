import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { atTimes, everySoOften } from '../../src/jobs/schedule.js'

const MINUTE_MS = 60_000

test('every so often: due once the period is over, and again a period after that', () => {
  let nowMs = 5
  const schedule = everySoOften(1_000, () => nowMs)
  assert.deepEqual(schedule.look(), { isDue: false, waitMs: 1_000 })
  nowMs = 1_004
  assert.deepEqual(schedule.look(), { isDue: false, waitMs: 1 })
  nowMs = 1_005
  assert.deepEqual(schedule.look(), { isDue: true, waitMs: 1_000 })
})

/** The full hours. */
function hourly(clock: { nowMs: number }) {
  const hourMs = 60 * MINUTE_MS
  return atTimes(
    () => (Math.floor(clock.nowMs / hourMs) + 1) * hourMs,
    () => clock.nowMs
  )
}

test('at times: a step over many of them makes it due once; after a step back it waits for the next one from there', () => {
  const clock = { nowMs: 30 * MINUTE_MS }
  const schedule = hourly(clock)
  assert.deepEqual(schedule.look(), { isDue: false, waitMs: MINUTE_MS })
  clock.nowMs += 1_000 * 60 * MINUTE_MS
  assert.equal(schedule.look().isDue, true)
  assert.equal(schedule.look().isDue, false)
  clock.nowMs -= 900 * 60 * MINUTE_MS
  assert.equal(schedule.look().isDue, false)
  clock.nowMs += 30 * MINUTE_MS
  assert.equal(schedule.look().isDue, true, 'the next full hour by the clock as it is now')
})

test('property: however the clock steps, it is looked at again within a minute', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -1e12, max: 1e12 })), steps => {
      const clock = { nowMs: 1e12 }
      const schedule = hourly(clock)
      for (const step of steps) {
        clock.nowMs += step
        const { waitMs } = schedule.look()
        assert.ok(waitMs >= 1 && waitMs <= MINUTE_MS)
      }
    })
  )
})
