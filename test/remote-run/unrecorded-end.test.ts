import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { createRunRepository } from '../../src/storage/sqlite/sqlite-runs.js'
import { makeRunId } from '../../src/values/runs/run-id.js'
import { eventually } from '../support/eventually.js'
import { allEvents, orderOf, startRuns, topologyOf, waitForEvent, writeCommand } from '../support/parts/remote-runs.js'

const NODES = topologyOf('self', { ok: 'self', fails: 'self' })
const UNTIL_TOLD = `#!/bin/sh
for host; do :; done
until [ -e "$(dirname "$0")/go" ]; do sleep 0.02; done
if [ "$host" = fails.example ]; then exit 3; fi
`
const COUNTS = { done: 1, failed: 1 }

/** A run that has ended while its database took no writes. */
async function endUnrecorded(t: TestContext) {
  const started = await startRuns(t, { topology: NODES, command: UNTIL_TOLD, timing: { recordAgainMs: 10 } })
  const { runs, db, folder } = started
  const run = await runs.start(orderOf({}))
  await waitForEvent(run, ({ outcome }) => outcome === 'running')
  db.pragma('query_only = ON')
  writeCommand(folder, '', 'go')
  const events = await allEvents(run)
  assert.equal(events.at(-1)?.outcome, 'done')
  await run.ended
  return { ...started, run }
}

test('a run whose end cannot be recorded is shown as it ended, and recorded once that can be done', async t => {
  const { runs, run, db } = await endUnrecorded(t)
  const record = await runs.record(run.id)
  assert.deepEqual([record?.state, record?.counts], ['done', COUNTS])
  assert.deepEqual(
    (await runs.nodeRecords(run.id, 10)).map(({ outcome }) => outcome),
    ['done', 'done']
  )
  assert.equal((await createRunRepository(db).find(run.id))?.state, 'running')
  db.pragma('query_only = OFF')
  await eventually('the end is recorded', async () => (await createRunRepository(db).find(run.id))?.state === 'done')
  assert.deepEqual((await createRunRepository(db).find(run.id))?.counts, COUNTS)
})

test('a process that stops before it can record the end leaves it to the log, however long it is', async t => {
  const { run, folder, close } = await endUnrecorded(t)
  await close()
  const log = join(folder, 'runs', `${run.id}.ndjson`)
  const lines = readFileSync(log, 'utf8').trimEnd().split('\n')
  const end = lines.pop() ?? ''
  const output = JSON.stringify({
    seq: lines.length,
    event: 'output',
    run: run.id,
    node: 'ok',
    data: 'x'.repeat(60_000)
  })
  writeFileSync(log, `${[...lines, ...Array(100).fill(output), end].join('\n')}\n`)
  const { runs } = await startRuns(t, { topology: NODES, folder, now: () => Date.now() + 3_600_000 })
  const record = await runs.record(run.id)
  assert.deepEqual([record?.state, record?.counts], ['done', COUNTS])
  assert.equal(record?.endedAtMs, record?.startedAtMs + JSON.parse(end).duration_ms, 'not the time of the restart')
})

test('a run that cannot begin on a disk that refuses both log and record says why, and is ended later', async t => {
  const { runs, db, folder } = await startRuns(t, { topology: NODES, timing: { recordAgainMs: 10 } })
  const runId = makeRunId(Date.now())
  mkdirSync(join(folder, 'runs', `${runId}.ndjson`))
  db.exec(`CREATE TRIGGER refuse BEFORE UPDATE ON runs BEGIN SELECT RAISE(FAIL, 'no room for the record'); END`)
  await assert.rejects(runs.start(orderOf({ runId })), { code: 'EISDIR' })
  assert.equal((await runs.record(runId))?.state, 'interrupted')
  assert.equal((await createRunRepository(db).find(runId))?.state, 'running')
  db.exec('DROP TRIGGER refuse')
  await eventually('the end is recorded', async () => (await createRunRepository(db).find(runId))?.state !== 'running')
})
