import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BelievedClock, type ClockReading, certainTime } from '../../src/process/believed-clock.js'
import { AcceptanceClock } from '../../src/shared-files/receiving/acceptance-clock.js'

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
  return { machine, clock, pass, certain: () => certainTime(readings, () => machine.uptimeMs) }
}

test('the time that is certain does not go back with the clock, with or without a start of the machine', async () => {
  for (const hasStarted of [false, true]) {
    for (const setToMs of [NOW_MS - 5 * HOUR_MS, 0]) {
      const { machine, clock, pass, certain } = setUp()
      await clock.begin(async () => Number.POSITIVE_INFINITY)
      machine.nowMs = setToMs
      if (hasStarted) machine.uptimeMs = 1_000
      await clock.begin(assert.fail)
      pass(HOUR_MS)
      assert.equal(await clock.during(async believedMs => believedMs), setToMs + HOUR_MS)
      assert.equal(await certain(), NOW_MS + HOUR_MS + (hasStarted ? 1_000 : 0))
    }
  }
})

test('a relay whose clock was set back gives later times than before, also once its believed clock was read again', async () => {
  const { machine, clock, pass, certain } = setUp()
  await clock.begin(async () => Number.POSITIVE_INFINITY)
  let markMs = 0
  const start = () =>
    new AcceptanceClock({
      now: () => machine.nowMs,
      raiseMark: async (ms, latestMs) => {
        const beforeMs = markMs > latestMs ? 0 : markMs
        markMs = Math.max(beforeMs, ms)
        return beforeMs
      },
      certainTime: certain
    })
  const before = await start().acceptedAt(undefined, [])
  machine.nowMs -= 5 * HOUR_MS
  pass(HOUR_MS)
  await clock.during(async () => undefined)
  assert.ok((await start().acceptedAt(undefined, [])) > before)
})

test('a clock that began in 1970 makes nothing certain, and is believed once it is right', async () => {
  const { machine, clock, certain } = setUp()
  machine.nowMs = 0
  await clock.begin(async () => Number.POSITIVE_INFINITY)
  assert.equal(await certain(), undefined)
  machine.nowMs = NOW_MS
  assert.equal(await clock.during(async believedMs => believedMs), NOW_MS)
  assert.equal(await certain(), NOW_MS)
})

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
