import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import test, { type TestContext } from 'node:test'
import type { HopOutcome, HopRequest } from '../../src/hops/hop.js'
import { eventually } from '../support/eventually.js'
import {
  allEvents,
  orderOf,
  startRuns,
  type TestRuns,
  temporaryFolder,
  topologyOf,
  waitForEvent
} from '../support/parts/remote-runs.js'
import { answered, hopOf, refused, type TestHop } from '../support/parts/run-hops.js'

const AWAY: HopOutcome = { kind: 'unreachable', reason: 'nobody is there', sent: false }
const topology = topologyOf('self', { old: 'self', 'node-o1': 'old' })

/** Says a line and goes on, as a relay does whose agents take their time. */
function longText(): HopOutcome {
  const body = new PassThrough()
  body.write('begun\n')
  return answered('text/plain', body)
}

function shortText(): HopOutcome {
  return answered('text/plain', new PassThrough().end('all of it\n'))
}

/** One that only speaks text, and answers what it does not know with 404. */
function textHop(order: (request: HopRequest) => HopOutcome, isTreeline = false): TestHop {
  return hopOf('old', request => (request.method === 'POST' ? order(request) : refused(404, 'not found')), isTreeline)
}

function orders({ requests }: TestHop): string[] {
  return requests.filter(({ method }) => method === 'POST').map(({ path }) => path)
}

async function startWaiting({ runs }: TestRuns) {
  return runs.start(orderOf({ nodes: ['node-o1'], asynchronous: true, waitUntilMs: Date.now() + 600_000 }))
}

function outcomeOnDisk({ db }: TestRuns): string | undefined {
  return db.prepare<[], string>('SELECT outcome FROM run_nodes').pluck().get()
}

/** The outcome that the next process finds for a run that `first` left. */
async function outcomeAfterRestart(t: TestContext, first: TestRuns, runId: string, hop: TestHop) {
  await first.close()
  const second = await startRuns(t, { topology, hops: [hop], folder: first.folder })
  const run = await second.runs.find(runId)
  assert.ok(run)
  await allEvents(run)
  return (await second.runs.nodeRecords(runId, 10))[0]?.outcome
}

test('that a relay that only speaks text has nodes is on disk before it has them; of others nothing is', async t => {
  for (const isTreeline of [false, true]) {
    let found: string | undefined
    const hop = textHop(() => {
      found = outcomeOnDisk(started)
      return refused(400, 'not now')
    }, isTreeline)
    const started = await startRuns(t, { topology, hops: [hop], folder: temporaryFolder(t) })
    await (await startWaiting(started)).ended
    assert.equal(found, isTreeline ? 'queued' : 'running')
    assert.equal(hop.requests.length, isTreeline ? 1 : 2)
  }
})

test('what such a relay was at when this one ended is not asked for again, also where it passed for one of ours', async t => {
  for (const isTreeline of [false, true]) {
    const hop = textHop(longText, isTreeline)
    const first = await startRuns(t, { topology, hops: [hop], folder: temporaryFolder(t) })
    const run = await startWaiting(first)
    await waitForEvent(run, ({ event }) => event === 'output')
    const next = textHop(shortText)
    assert.equal(await outcomeAfterRestart(t, first, run.id, next), 'interrupted')
    assert.equal(orders(hop)[0], 'remote-run/nodes')
    assert.deepEqual(next.requests, [])
  }
})

test('one that is away, or goes just before the order, gets it after a restart', async t => {
  const away = hopOf('old', () => AWAY, false)
  const leaving = textHop(() => AWAY)
  for (const hop of [away, leaving]) {
    const first = await startRuns(t, { topology, hops: [hop], folder: temporaryFolder(t) })
    const run = await startWaiting(first)
    await eventually('the try', () => hop.requests.length === (hop === away ? 1 : 2))
    await eventually('the wait', () => outcomeOnDisk(first) === 'queued')
    const there = textHop(shortText)
    assert.equal(await outcomeAfterRestart(t, first, run.id, there), 'unknown')
    assert.deepEqual(orders(there), ['remote-run/nodes'])
  }
})
