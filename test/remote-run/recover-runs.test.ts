import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { RunEvent } from '../../src/remote-run/run-types.js'
import { openDatabase } from '../../src/storage/sqlite-engine/database.js'
import { parseRunEvent } from '../../src/values/runs/run-event.js'
import { allEvents, orderOf, outcomesOf, startRuns, temporaryFolder, topologyOf } from '../support/parts/remote-runs.js'

const TOPOLOGY = topologyOf('self', { fast: 'self', slow: 'self', later: 'self' })
const PROGRAM = fileURLToPath(new URL('../support/work/run-until-killed.ts', import.meta.url))

/** A relay in a process of its own that is killed once `fast` has ended, while `slow` runs and `later` waits. */
async function killDuringRun(t: TestContext, folder: string): Promise<string> {
  const relay = fork(PROGRAM, [folder], {
    execArgv: ['--import', 'tsx'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc']
  })
  t.after(() => relay.kill('SIGKILL'))
  const [runId] = await once(relay, 'message')
  const exit = once(relay, 'exit')
  relay.kill('SIGKILL')
  await exit
  return String(runId)
}

test('a log that cannot be used is moved aside, its run is interrupted, and what readers knew is told again', async t => {
  const folder = temporaryFolder(t)
  const runId = await killDuringRun(t, folder)
  const log = join(folder, 'runs', `${runId}.ndjson`)
  for (const replace of [() => symlinkSync(folder, log), () => mkdirSync(join(log, 'inner'), { recursive: true })]) {
    const known = parseRunEvent(readFileSync(log, 'utf8').trimEnd().split('\n').at(-1) ?? '')
    assert.ok(known)
    rmSync(log)
    replace()
    const { runs, close } = await startRuns(t, { topology: TOPOLOGY, folder })
    assert.equal((await runs.record(runId))?.state, 'interrupted')
    const run = await runs.find(runId)
    assert.ok(run)
    const events: RunEvent[] = []
    for await (const event of run.events(known.seq, new AbortController().signal)) events.push(event)
    assert.deepEqual([events.at(-1)?.event, events.at(-1)?.outcome], ['end', 'interrupted'])
    assert.deepEqual(Object.keys(outcomesOf(events)).sort(), ['fast', 'later', 'slow'])
    assert.deepEqual(readdirSync(join(folder, 'runs')).sort(), [`${runId}.ndjson`, `${runId}.ndjson.damaged~`])
    await close()
    openDatabase(join(folder, 'state.db'), 'state').exec("UPDATE runs SET state = 'running'").close()
  }
})

test('events after those that a power cut took off the log have higher numbers than any that readers know', async t => {
  const folder = temporaryFolder(t)
  const runId = await killDuringRun(t, folder)
  const log = join(folder, 'runs', `${runId}.ndjson`)
  const lines = readFileSync(log, 'utf8').trimEnd().split('\n')
  const known = parseRunEvent(lines.at(-1) ?? '')
  assert.ok(known !== undefined && lines.length > 1)
  writeFileSync(log, `${lines[0]}\n`)
  const { runs, close } = await startRuns(t, { topology: TOPOLOGY, folder })
  const run = await runs.find(runId)
  assert.ok(run)
  const events: RunEvent[] = []
  for await (const event of run.events(known.seq, new AbortController().signal)) events.push(event)
  assert.deepEqual(Object.keys(outcomesOf(events)).sort(), ['fast', 'later', 'slow'])
  assert.equal(events.at(-1)?.event, 'end')
  await close()
})

test('after kill -9 the run is interrupted, what was done stays done, and the log has an end', async t => {
  const folder = temporaryFolder(t)
  const runId = await killDuringRun(t, folder)
  const log = join(folder, 'runs', `${runId}.ndjson`)
  appendFileSync(log, '{"seq":99,"event":"outp')
  const { runs, close } = await startRuns(t, { topology: TOPOLOGY, folder })
  const record = await runs.record(runId)
  assert.equal(record?.state, 'interrupted')
  assert.deepEqual(record?.counts, { done: 1, interrupted: 2 })
  assert.deepEqual(
    (await runs.nodeRecords(runId, 10)).map(node => [node.node, node.outcome]),
    [
      ['fast', 'done'],
      ['later', 'interrupted'],
      ['slow', 'interrupted']
    ]
  )
  const run = await runs.find(runId)
  assert.ok(run)
  const events = await allEvents(run)
  assert.equal(events.at(-1)?.event, 'end')
  assert.equal(events.at(-1)?.outcome, 'interrupted')
  assert.deepEqual(outcomesOf(events), { fast: 'done 0', later: 'interrupted', slow: 'interrupted' })
  const told = events.find(({ node, outcome }) => node === 'slow' && outcome === 'interrupted')
  assert.equal(told?.message, 'the relay ended while this was under way')
  // the same order again is not carried out a second time
  assert.deepEqual(await allEvents(await runs.start(orderOf({ runId }))), events)
  await close()
  const before = readFileSync(log)
  await startRuns(t, { topology: TOPOLOGY, folder })
  assert.deepEqual(readFileSync(log), before)
})
