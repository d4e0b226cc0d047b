import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { startJobs } from '../../src/jobs/periodic-jobs.js'
import type { Frequency } from '../../src/jobs/schedule.js'
import { createLeaseRepository } from '../../src/storage/sqlite/sqlite-leases.js'
import { silentLogger } from '../../src/values/logging/logger.js'
import { eventually } from '../support/eventually.js'

/** Jobs whose purge of files ends when it is told to. */
function startTestJobs(t: TestContext, cleanupFrequency: Frequency) {
  const signals: AbortSignal[] = []
  const ends: (() => void)[] = []
  const jobs = startJobs({
    sharedFiles: {
      purgeExpired: signal => {
        signals.push(signal)
        return new Promise(resolve => ends.push(() => resolve(1)))
      }
    },
    remoteRuns: { purgeExpired: () => Promise.resolve(0) },
    cleanupFrequency,
    leases: createLeaseRepository(),
    logger: silentLogger
  })
  const endAll = () => {
    for (const end of ends.splice(0)) end()
  }
  t.after(() => {
    endAll()
    return jobs.stop()
  })
  return { jobs, signals, endAll }
}

test('the purge starts every so often, never twice at once, and is waited for at the end', async t => {
  const { jobs, signals, endAll } = startTestJobs(t, { everyMs: 1 })
  await eventually('the first purge', () => signals.length === 1)
  // timers of one length fire in the order in which they were set: the job has looked again when these have
  for (let looks = 0; looks < 20; looks += 1) await new Promise(resolve => setTimeout(resolve, 1))
  assert.equal(signals.length, 1)
  endAll()
  await eventually('the next purge', () => signals.length === 2)

  let isStopped = false
  const stopped = jobs.stop().then(() => {
    isStopped = true
  })
  await eventually('the end being asked for', () => signals[1]?.aborted === true)
  assert.equal(isStopped, false)
  endAll()
  await stopped
})

test('the purge starts at the times of a cron expression', async t => {
  const { signals } = startTestJobs(t, { cron: '* * * * * *' })
  await eventually('the first purge', () => signals.length === 1)
})

test('the tree is asked for again and again, a little later each time', async t => {
  let asked = 0
  const jobs = startJobs({
    sharedFiles: { purgeExpired: () => Promise.resolve(0) },
    remoteRuns: { purgeExpired: () => Promise.resolve(0) },
    cleanupFrequency: { everyMs: 3_600_000 },
    leases: createLeaseRepository(),
    treeSync: {
      ask: async () => {
        asked += 1
      },
      everyMs: 1
    },
    logger: silentLogger
  })
  t.after(() => jobs.stop())
  await eventually('two questions', () => asked >= 2)
  await jobs.stop()
})
