import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import test from 'node:test'
import { RunTally } from '../../src/cli/output/run-tally.js'
import { NDJSON } from '../../src/network/header-names.js'
import { countedOutcome, NODE_OUTCOMES } from '../../src/values/runs/run-event.js'
import { allEvents, orderOf, startRuns, topologyOf } from '../support/parts/remote-runs.js'
import { answered, hopOf, ndjson } from '../support/parts/run-hops.js'

const TOPOLOGY = topologyOf('self', { relay: 'self', good: 'relay', bad: 'relay', mute: 'relay' })
const COUNTS = { done: 1, failed: 2 }

test('a node that is done without an exit code has failed: in record, metric and on the command line', async t => {
  const events = ndjson([
    { event: 'node', node: 'good', outcome: 'done', exit_code: 0 },
    { event: 'node', node: 'bad', outcome: 'done', exit_code: 3 },
    { event: 'node', node: 'mute', outcome: 'done' },
    { event: 'end', outcome: 'done' }
  ])
  const hop = hopOf('relay', () => answered(NDJSON, Readable.from([Buffer.from(events)])))
  const told: Record<string, number> = {}
  const observer = {
    nodeRan(outcome: string) {
      told[outcome] = (told[outcome] ?? 0) + 1
    }
  }
  const { runs } = await startRuns(t, { topology: TOPOLOGY, hops: [hop], observer })
  const run = await runs.start(orderOf({ nodes: ['good', 'bad', 'mute'] }))
  const tally = new RunTally()
  for (const event of await allEvents(run)) tally.take(event)
  assert.deepEqual((await runs.record(run.id))?.counts, COUNTS)
  assert.deepEqual(told, COUNTS)
  assert.deepEqual(tally.counts(), COUNTS)
  assert.equal(tally.isSuccess, false)
})

test('an exit code changes nothing of any other outcome', () => {
  for (const outcome of NODE_OUTCOMES.filter(name => name !== 'done')) {
    assert.equal(countedOutcome(outcome, 3), outcome)
    assert.equal(countedOutcome(outcome, undefined), outcome)
  }
})
