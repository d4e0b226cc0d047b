import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { RunningTime, type RunningTimeReading, thisMachine } from '../../src/process/running-time.js'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

/** A machine that can be started again, and the records that are on it. */
function setUp() {
  const machine = {
    boot: 'boot-0' as string | undefined,
    uptimeMs: HOUR_MS,
    reading: undefined as RunningTimeReading | undefined
  }
  const readings = {
    runningTime: async () => machine.reading,
    noteRunningTime: async (reading: RunningTimeReading) => {
      machine.reading = reading
    }
  }
  return {
    machine,
    /** A process is started. */
    start: () => new RunningTime(readings, { boot: machine.boot, uptime: () => machine.uptimeMs })
  }
}

test('time goes on while the machine runs, also while no process does, and after a kill', async () => {
  const { machine, start } = setUp()
  const time = start()
  await time.note()
  const before = await time.ms()
  machine.uptimeMs += HOUR_MS
  assert.equal(await time.ms(), before + HOUR_MS)
  machine.uptimeMs += HOUR_MS // and is killed, with nothing noted
  assert.equal(await start().ms(), before + 2 * HOUR_MS)
})

test('a start of the machine is told from the end of a process by its id, however long it has run since', async () => {
  const { machine, start } = setUp()
  const first = start()
  await first.note()
  const before = await first.ms()
  Object.assign(machine, { boot: 'boot-1', uptimeMs: 300 * 24 * HOUR_MS }) // records that were moved, say
  assert.equal(await start().ms(), before + 5 * MINUTE_MS)
  Object.assign(machine, { boot: 'boot-0', uptimeMs: MINUTE_MS }) // a container
  assert.equal(await start().ms(), before + MINUTE_MS)
})

test('where the machine has no such id, the time of each process counts', async () => {
  const { machine, start } = setUp()
  machine.boot = undefined
  for (let hour = 0; hour < 3; hour += 1) {
    const time = start()
    assert.equal(await time.ms(), hour * HOUR_MS)
    machine.uptimeMs += HOUR_MS
    await time.note()
    machine.uptimeMs += HOUR_MS
  }
})

test('this machine has the id of its start', () => {
  assert.equal(thisMachine().boot !== undefined, existsSync('/proc/sys/kernel/random/boot_id'))
  assert.equal(thisMachine().boot, thisMachine().boot)
})

test('callers at once get one time', async () => {
  const { start } = setUp()
  const time = start()
  const all = await Promise.all([time.ms(), time.note(), time.ms()])
  assert.equal(all[0], all[2])
})

test('property: it goes forward alone, and never counts more than has passed, nor less than the starts and notes say', async () => {
  const happening = fc.oneof(
    fc.record({ what: fc.constant('run' as const), ms: fc.integer({ min: 1, max: 30 * HOUR_MS }) }),
    fc.constant({ what: 'note' as const }),
    fc.constant({ what: 'kill' as const }),
    fc.record({ what: fc.constant('off' as const), upMs: fc.integer({ min: 1, max: 400 * 24 * HOUR_MS }) })
  )
  await fc.assert(
    fc.asyncProperty(fc.array(happening, { maxLength: 40 }), async happenings => {
      const { machine, start } = setUp()
      machine.uptimeMs = 0
      let time = start()
      await time.note()
      let passedMs = 0
      let leastMs = 0 // what ran up to the last note or, within a start of the machine, now
      let boots = 0
      for (const one of happenings) {
        const before = await time.ms()
        if (one.what === 'run') {
          machine.uptimeMs += one.ms
          passedMs += one.ms
        } else if (one.what === 'note') {
          await time.note()
          leastMs = await time.ms()
        } else if (one.what === 'kill') time = start()
        else {
          boots += 1
          Object.assign(machine, { boot: `boot-${boots}`, uptimeMs: one.upMs })
          passedMs += one.upMs
          time = start()
          await time.note()
          assert.ok((await time.ms()) > leastMs, 'each start counts')
          leastMs = await time.ms()
        }
        const now = await time.ms()
        assert.ok(now <= passedMs)
        assert.ok(now >= leastMs)
        if (one.what !== 'off') assert.ok(now >= before)
      }
    }),
    { numRuns: 300 }
  )
})
