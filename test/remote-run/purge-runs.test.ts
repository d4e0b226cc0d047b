import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { openDatabase } from '../../src/storage/sqlite-engine/database.js'
import { orderOf, startRuns, temporaryFolder, topologyOf } from '../support/parts/remote-runs.js'

const THREE = topologyOf('root', { root: 'root', a: 'root', fails: 'root' })
const DAY_MS = 86_400_000

test('records and outputs go once they are past the retention', async t => {
  let nowMs = Date.now()
  let uptimeMs = 0
  const { runs, folder } = await startRuns(t, { topology: THREE, now: () => nowMs, uptime: () => uptimeMs })
  const old = await runs.start(orderOf())
  await old.ended
  const log = join(folder, 'runs', `${old.id}.ndjson`)
  assert.ok(existsSync(log))
  const { signal } = new AbortController()
  assert.equal(await runs.purgeExpired(signal), 0)
  nowMs += 8 * DAY_MS
  uptimeMs += 8 * DAY_MS
  const recent = await runs.start(orderOf())
  await recent.ended
  assert.equal(await runs.purgeExpired(signal), 1)
  assert.equal(await runs.find(old.id), undefined)
  assert.deepEqual(await runs.nodeRecords(old.id, 10), [])
  assert.ok(!existsSync(log))
  assert.equal((await runs.find(recent.id))?.id, recent.id)
})

test('a clock that is ahead for hours, through restarts too, removes no record and no order', async t => {
  const start = Date.now()
  const clock = { nowMs: start, uptimeMs: DAY_MS }
  const times = { now: () => clock.nowMs, uptime: () => clock.uptimeMs }
  const { signal } = new AbortController()
  const order = orderOf({ orderKey: 'root order-1' })
  const folder = temporaryFolder(t)
  const first = await startRuns(t, { topology: THREE, folder, ...times })
  const run = await first.runs.start(order)
  await run.ended
  await first.close()
  clock.nowMs += 3_650 * DAY_MS
  clock.uptimeMs = 0
  const ahead = await startRuns(t, { topology: THREE, folder, ...times })
  for (let hour = 0; hour < 12; hour += 1) {
    clock.nowMs += 3_600_000
    clock.uptimeMs += 3_600_000
    assert.equal(await ahead.runs.purgeExpired(signal), 0)
  }
  assert.ok(existsSync(join(folder, 'runs', `${run.id}.ndjson`)))
  clock.nowMs = start + DAY_MS
  assert.equal((await ahead.runs.start(order)).id, run.id, 'an order that comes again starts nothing')
  clock.nowMs += 8 * DAY_MS
  clock.uptimeMs += 8 * DAY_MS
  assert.equal(await ahead.runs.purgeExpired(signal), 1)
})

test('a clock that is ahead while the machine runs on removes no record and no order that is younger', async t => {
  const start = Date.now()
  const clock = { nowMs: start, uptimeMs: DAY_MS }
  const { runs } = await startRuns(t, { topology: THREE, now: () => clock.nowMs, uptime: () => clock.uptimeMs })
  const { signal } = new AbortController()
  const order = orderOf({ orderKey: 'root order-1' })
  const run = await runs.start(order)
  await run.ended
  const pass = async (ms: number) => {
    clock.nowMs += ms
    clock.uptimeMs += ms
    return await runs.purgeExpired(signal)
  }
  assert.equal(await pass(5 * DAY_MS), 0)
  clock.nowMs += 10 * DAY_MS
  for (let hour = 0; hour < 10; hour += 1) assert.equal(await pass(3_600_000), 0)
  clock.nowMs -= 10 * DAY_MS
  assert.equal(await pass(DAY_MS), 0)
  assert.equal((await runs.start(order)).id, run.id, 'an order that comes again starts nothing')
  assert.equal(await pass(2 * DAY_MS), 1)
})

test('a clock that is ahead when it is read for the first time removes no record and no order', async t => {
  const start = Date.now()
  const clock = { nowMs: start, uptimeMs: DAY_MS }
  const times = { now: () => clock.nowMs, uptime: () => clock.uptimeMs }
  const { signal } = new AbortController()
  const order = orderOf({ orderKey: 'root order-1' })
  const folder = temporaryFolder(t)
  const first = await startRuns(t, { topology: THREE, folder, ...times })
  const run = await first.runs.start(order)
  await run.ended
  await first.close()
  const db = openDatabase(join(folder, 'state.db'), 'state') // as a version without readings left it
  db.exec('DELETE FROM clock_readings')
  db.close()
  clock.nowMs += 30 * DAY_MS
  const ahead = await startRuns(t, { topology: THREE, folder, ...times })
  clock.uptimeMs += 3_600_000
  assert.equal(await ahead.runs.purgeExpired(signal), 0)
  clock.nowMs = start + DAY_MS
  assert.equal((await ahead.runs.start(order)).id, run.id, 'an order that comes again starts nothing')
})
