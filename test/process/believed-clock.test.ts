import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BelievedClock, type ClockReading } from '../../src/process/believed-clock.js'

const NOW_MS = Date.UTC(2026, 5, 1)
const HOUR_MS = 3_600_000

/** A clock that can be set, of a machine that can be started. */
function setUp() {
  const machine = {
    nowMs: NOW_MS,
    uptimeMs: 24 * HOUR_MS,
    isFull: false,
    reading: undefined as ClockReading | undefined
  }
  const readings = {
    clockReading: async () => machine.reading,
    noteClock: async (reading: ClockReading) => {
      if (machine.isFull) throw new Error('the disk is full')
      machine.reading = reading
    }
  }
  const clock = new BelievedClock(readings, {
    now: () => machine.nowMs,
    uptime: () => machine.uptimeMs,
    catchUpMs: ranMs => ranMs
  })
  const pass = (ms: number) => {
    machine.nowMs += ms
    machine.uptimeMs += ms
  }
  return { machine, clock, pass }
}

test('work that makes room on a full disk is done before the reading is noted', async () => {
  const { machine, clock, pass } = setUp()
  await clock.begin(async () => Number.POSITIVE_INFINITY)
  pass(HOUR_MS)
  machine.isFull = true
  const done = await clock.during(async believedMs => {
    machine.isFull = false
    return believedMs
  })
  assert.equal(done, NOW_MS + HOUR_MS)
  assert.equal(machine.reading?.atMs, NOW_MS + HOUR_MS)
})
