import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { openDatabase } from '../../src/storage/sqlite-engine/database.js'
import { orderOf, startRuns, temporaryFolder, topologyOf } from '../support/parts/remote-runs.js'

const THREE = topologyOf('root', { root: 'root', a: 'root', fails: 'root' })
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

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

/** A relay that has carried out an order on a machine whose clock can be set. */
async function startWithOrder(t: TestContext) {
  const startMs = Date.now()
  const clock = { nowMs: startMs, uptimeMs: DAY_MS }
  const folder = temporaryFolder(t)
  const start = () => {
    return startRuns(t, { topology: THREE, folder, now: () => clock.nowMs, uptime: () => clock.uptimeMs })
  }
  const order = orderOf({ orderKey: 'root order-1' })
  const relay = await start()
  const run = await relay.runs.start(order)
  await run.ended
  /** Lets time pass. @returns how many runs a purge then removes */
  const pass = async (ms: number, { runs }: Pick<typeof relay, 'runs'> = relay) => {
    clock.nowMs += ms
    clock.uptimeMs += ms
    return await runs.purgeExpired(new AbortController().signal)
  }
  const checkKnown = async ({ runs }: Pick<typeof relay, 'runs'> = relay) => {
    assert.equal((await runs.start(order)).id, run.id, 'an order that comes again starts nothing')
  }
  return { startMs, clock, folder, start, relay, run, pass, checkKnown }
}

test('a clock that is ahead for hours, through restarts too, removes no record and no order', async t => {
  const { startMs, clock, folder, start, relay, run, pass, checkKnown } = await startWithOrder(t)
  await relay.close()
  clock.nowMs += 3_650 * DAY_MS
  clock.uptimeMs = 0
  const ahead = await start()
  for (let hour = 0; hour < 12; hour += 1) assert.equal(await pass(HOUR_MS, ahead), 0)
  assert.ok(existsSync(join(folder, 'runs', `${run.id}.ndjson`)))
  clock.nowMs = startMs + DAY_MS
  await checkKnown(ahead)
  assert.equal(await pass(8 * DAY_MS, ahead), 1)
})

test('a clock that is ahead while the machine runs on removes no record and no order that is younger', async t => {
  const { clock, pass, checkKnown } = await startWithOrder(t)
  assert.equal(await pass(5 * DAY_MS), 0)
  clock.nowMs += 10 * DAY_MS
  for (let hour = 0; hour < 10; hour += 1) assert.equal(await pass(HOUR_MS), 0)
  clock.nowMs -= 10 * DAY_MS
  assert.equal(await pass(DAY_MS), 0)
  await checkKnown()
  assert.equal(await pass(2 * DAY_MS), 1)
})

test('a clock that is ahead when it is read for the first time removes no record and no order', async t => {
  const { startMs, clock, folder, start, relay, pass, checkKnown } = await startWithOrder(t)
  await relay.close()
  const db = openDatabase(join(folder, 'state.db'), 'state') // as a version without readings left it
  db.exec('DELETE FROM clock_readings')
  db.close()
  clock.nowMs += 30 * DAY_MS
  const ahead = await start()
  assert.equal(await pass(HOUR_MS, ahead), 0)
  clock.nowMs = startMs + DAY_MS
  await checkKnown(ahead)
})
