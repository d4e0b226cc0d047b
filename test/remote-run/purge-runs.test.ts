import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import fc from 'fast-check'
import { RunPurge } from '../../src/remote-run/lifecycle/purge-runs.js'
import { createRunRepository } from '../../src/storage/sqlite/sqlite-runs.js'
import { openDatabase } from '../../src/storage/sqlite-engine/database.js'
import { makeRunId } from '../../src/values/runs/run-id.js'
import { orderOf, startRuns, temporaryFolder, topologyOf } from '../support/parts/remote-runs.js'

const THREE = topologyOf('root', { root: 'root', a: 'root', fails: 'root' })
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const WEEK_MS = 7 * DAY_MS
const START_MS = Date.UTC(2026, 5, 1)

const PURGE = {
  files: { remove: async () => undefined, unchangedSince: async function* () {} },
  retentionMs: () => WEEK_MS
}
const NEW_RUN = {
  askedBy: 'test',
  nodes: 'all',
  conditions: [],
  keepOutput: false,
  asynchronous: true,
  waitUntilMs: undefined
} as const

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
  await relay.runs.purgeExpired(new AbortController().signal)
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

test('a clock that is behind while it is looked removes nothing later than it would be', async t => {
  const { clock, pass, checkKnown } = await startWithOrder(t)
  assert.equal(await pass(DAY_MS), 0)
  for (const behindMs of [100 * DAY_MS, clock.nowMs]) {
    clock.nowMs -= behindMs
    assert.equal(await pass(HOUR_MS), 0)
    clock.nowMs += behindMs
  }
  assert.equal(await pass(5 * DAY_MS), 0)
  await checkKnown()
  assert.equal(await pass(2 * DAY_MS), 1)
})

test('a machine that starts in 1970, and has a time far ahead then, removes nothing sooner', async t => {
  const { startMs, clock, start, relay, pass, checkKnown } = await startWithOrder(t)
  assert.equal(await pass(5 * DAY_MS), 0)
  await relay.close()
  Object.assign(clock, { nowMs: 0, uptimeMs: 0 })
  const again = await start()
  assert.equal(await pass(1_000, again), 0)
  clock.nowMs = startMs + 15 * DAY_MS
  assert.equal(await pass(HOUR_MS, again), 0)
  clock.nowMs = startMs + 5 * DAY_MS
  await checkKnown(again)
  assert.equal(await pass(3 * DAY_MS, again), 1)
})

test('records of an earlier version are kept for as long as any, from the first look', async t => {
  const { folder, relay, start, pass, checkKnown } = await startWithOrder(t)
  await relay.close()
  const db = openDatabase(join(folder, 'state.db'), 'state')
  db.exec('DELETE FROM running_time; UPDATE runs SET ended_ran = NULL; UPDATE run_orders SET ordered_ran = NULL')
  db.close()
  const later = await start()
  assert.equal(await pass(30 * DAY_MS, later), 0)
  await checkKnown(later)
  assert.equal(await pass(8 * DAY_MS, later), 1)
})

test('property: wherever the clock is set, with starts of process and machine, an order is known for a week, and then forgotten', async t => {
  const db = openDatabase(join(temporaryFolder(t), 'state.db'), 'state')
  t.after(() => db.close())
  db.exec('PRAGMA synchronous = OFF') // for speed: nothing is killed here
  const step = fc.oneof(
    fc.integer({ min: -20, max: 20 }).map(days => (nowMs: number) => Math.max(0, nowMs + days * DAY_MS)),
    fc.constantFrom(0, START_MS, Date.UTC(2100, 0, 1)).map(ms => () => ms)
  )
  const happening = fc.oneof(
    fc.constant({ what: 'order' as const }),
    fc.record({ what: fc.constant('time' as const), hours: fc.integer({ min: 1, max: 40 }) }),
    fc.record({ what: fc.constant('step' as const), to: step }),
    fc.constant({ what: 'restart' as const }),
    fc.record({ what: fc.constant('machine' as const), days: fc.integer({ min: 0, max: 20 }) })
  )
  await fc.assert(
    fc.asyncProperty(fc.array(happening, { maxLength: 30 }), async happenings => {
      db.exec('DELETE FROM run_nodes; DELETE FROM runs; DELETE FROM run_orders; DELETE FROM running_time')
      const clock = { nowMs: START_MS, uptimeMs: DAY_MS, ranMs: 0 }
      const repository = createRunRepository(db)
      const start = async () => {
        const purge = new RunPurge({ ...PURGE, repository, now: () => clock.nowMs, uptime: () => clock.uptimeMs })
        await purge.begin()
        return purge
      }
      let purge = await start()
      const look = () => purge.purge(new AbortController().signal)
      const given: { id: string; ranMs: number }[] = []
      const pass = async (looks: number, apartMs: number) => {
        for (let done = 0; done < looks; done += 1) {
          for (const one of ['nowMs', 'uptimeMs', 'ranMs'] as const) clock[one] += apartMs
          await look()
        }
      }
      for (const one of [...happenings, { what: 'time' as const, hours: 1 }]) {
        if (one.what === 'step') clock.nowMs = one.to(clock.nowMs)
        else if (one.what === 'restart') purge = await start()
        else if (one.what === 'time') await pass(2, one.hours * HOUR_MS)
        else if (one.what === 'machine') {
          clock.nowMs += one.days * DAY_MS
          clock.uptimeMs = 60_000
          purge = await start()
        } else {
          const id = makeRunId(clock.nowMs)
          await repository.begin({ ...NEW_RUN, id, startedAtMs: clock.nowMs }, [], HOUR_MS, id)
          await repository.end(id, { state: 'done', endedAtMs: clock.nowMs, counts: {} }, [])
          given.push({ id, ranMs: clock.ranMs })
        }
        for (const { id, ranMs } of given) {
          if (clock.ranMs - ranMs > WEEK_MS) continue
          assert.ok(await repository.find(id))
          assert.equal(await repository.orderedRunId(id), id)
        }
      }
      await pass(40, DAY_MS) // and 30 days more for ids from the future
      assert.deepEqual(await repository.page(1), [])
      for (const { id } of given) assert.equal(await repository.orderedRunId(id), undefined)
    }),
    { numRuns: 40 }
  )
})
