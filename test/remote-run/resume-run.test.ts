import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import type { Run, RunEvent } from '../../src/remote-run/run-types.js'
import { allEvents, orderOf, outcomesOf, startRuns, temporaryFolder, topologyOf } from '../support/parts/remote-runs.js'
import { formOf, relayHop } from '../support/parts/run-hops.js'

const BELOW = { steady: 'relay', loud: 'relay', failing: 'relay' }

/** `steady` says a word before `go` is there and one after; `loud` too much before; `failing` ends at once. */
function command(go: string): string {
  return `#!/bin/sh
for host; do :; done
case "$host" in
  failing*) echo "this is too long"; exit 3 ;;
  loud*) echo "this is too long" ;;
  *) echo before ;;
esac
while [ ! -e "${go}" ]; do sleep 0.02; done
case "$host" in steady*) echo after ;; esac
`
}

/** Resolves once `count` events are like `wanted`. */
async function until(run: Run, count: number, wanted: (event: RunEvent) => boolean): Promise<void> {
  let left = count
  for await (const event of run.events(0, new AbortController().signal)) {
    if (wanted(event)) left -= 1
    if (left === 0) return
  }
  throw new Error('the run ended before')
}

test('what a sub-relay told before a restart of the upper relay is not logged a second time', t => restartUpper(t, 0))

test('a clock that is set far back before the restart neither ends the wait nor makes it longer', async t => {
  const warnings: string[] = []
  const onWarning = ({ name }: Error) => void warnings.push(name)
  process.on('warning', onWarning)
  t.after(() => process.off('warning', onWarning))
  await restartUpper(t, 30 * 86_400_000)
  assert.deepEqual(warnings, [], 'no timer is asked for more than it can do, which would end it at once')
})

test('the end of a node that a full disk took into no log is told after the restart', t => {
  return restartUpper(t, 0, line => /"node":"failing".*"outcome":"done"/.test(line))
})

/** @param isLost lines that are not in the log of the first upper relay */
async function restartUpper(
  t: TestContext,
  behindMs: number,
  isLost: (line: string) => boolean = () => false
): Promise<void> {
  const folder = temporaryFolder(t)
  const go = join(folder, 'go')
  const below = await startRuns(t, {
    topology: topologyOf('relay', BELOW),
    command: command(go),
    config: { maxOutputBytes: 15 }
  })
  const hop = relayHop('relay', below.runs)
  const topology = topologyOf('self', { relay: 'self', ...BELOW })
  const first = await startRuns(t, { topology, hops: [hop], folder })
  const order = { nodes: Object.keys(BELOW), asynchronous: true, waitUntilMs: Date.now() + 600_000 }
  const run = await first.runs.start(orderOf(order))
  await Promise.all([
    until(run, 1, ({ event, node }) => event === 'output' && node === 'steady'),
    until(run, 2, ({ event }) => event === 'error'),
    until(run, 1, ({ node, outcome }) => node === 'failing' && outcome === 'done')
  ])
  await first.close()
  const log = join(folder, 'runs', `${run.id}.ndjson`)
  const lines = readFileSync(log, 'utf8').split('\n')
  writeFileSync(log, lines.filter(line => !isLost(line)).join('\n'))

  const second = await startRuns(t, { topology, hops: [hop], folder, now: () => Date.now() - behindMs })
  const resumed = await second.runs.find(run.id)
  assert.ok(resumed)
  writeFileSync(go, '')
  const events = await allEvents(resumed)
  assert.deepEqual(outcomesOf(events), { steady: 'done 0', loud: 'done 0', failing: 'done 3' })
  const told = events.map(({ event, node, outcome, data }) => [event, node, outcome, data].join(' ').trim())
  const expected = [
    'start',
    ...Object.keys(BELOW).map(node => `node ${node} running`),
    'output steady  before',
    'output steady  after',
    'error loud',
    'error failing',
    ...Object.keys(BELOW).map(node => `node ${node} done`),
    'end  done'
  ]
  assert.deepEqual(told.sort(), expected.sort())
  const orders = hop.requests.filter(({ method }) => method === 'POST').map(formOf)
  assert.equal(orders.length, 2)
  for (const wait of orders.map(form => Number(form.get('wait')))) {
    assert.ok(wait > 500 && wait <= 600, `what is left of the wait goes down: ${wait}`)
  }
}
