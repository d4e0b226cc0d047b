import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import type { RunEvent } from '../../src/remote-run/run-types.js'
import { eventually } from '../support/eventually.js'
import { mountSmallDisk } from '../support/machine/small-disk.js'
import { allEvents, orderOf, outcomesOf, startRuns, topologyOf, writeCommand } from '../support/parts/remote-runs.js'

const NODES = topologyOf('self', { ok: 'self', fails: 'self' })
const OUTCOMES = { ok: 'done 0', fails: 'done 3' }

function withoutAlive(events: readonly RunEvent[]): string[] {
  return events.filter(({ event }) => event !== 'alive').map(({ event }) => event)
}

test('what became of each node is told where the disk takes no log, while the run is followed and later', async t => {
  const disk = await mountSmallDisk(t, 1)
  if (disk === undefined) return
  const { runs } = await startRuns(t, { topology: NODES, storagePath: disk.path })
  await disk.fill()
  const run = await runs.start(orderOf({}))
  const events = await allEvents(run)
  assert.deepEqual(outcomesOf(events), OUTCOMES)
  assert.equal(events[0]?.node_count, 2)
  assert.equal(events.at(-1)?.event, 'end')
  assert.ok(events.every(({ event }) => event !== 'output'))
  await run.ended
  const later = await runs.find(run.id)
  assert.ok(later)
  const kept = await allEvents(later)
  assert.deepEqual(withoutAlive(kept), ['node', 'node', 'end'], 'from the record')
  assert.deepEqual(outcomesOf(kept), OUTCOMES)
})

test('a log goes on with what it could not take before, in its order, once there is room', async t => {
  const disk = await mountSmallDisk(t, 1)
  if (disk === undefined) return
  const { runs, folder } = await startRuns(t, {
    topology: NODES,
    storagePath: disk.path,
    config: { concurrency: 1 },
    command: `#!/bin/sh
for host; do :; done
if [ "$host" = fails.example ]; then exit 3; fi
until [ -e "$(dirname "$0")/room" ]; do sleep 0.02; done
`
  })
  await disk.fill()
  const run = await runs.start(orderOf({ nodes: ['fails', 'ok'] }))
  await eventually('one node done', async () =>
    (await runs.nodeRecords(run.id, 10)).some(({ outcome }) => outcome === 'done')
  )
  await disk.empty()
  writeCommand(folder, '', 'room')
  const events = await allEvents(run)
  assert.deepEqual(outcomesOf(events), OUTCOMES)
  await run.ended
  const logs = join(disk.path, 'runs')
  const lines = readdirSync(logs).flatMap(name => readFileSync(join(logs, name), 'utf8').trimEnd().split('\n'))
  const written = lines.map(line => JSON.parse(line) as RunEvent)
  assert.deepEqual(withoutAlive(written), ['start', 'node', 'node', 'node', 'node', 'end'])
  assert.deepEqual(
    written.map(({ seq }) => seq).toSorted((a, b) => a - b),
    written.map(({ seq }) => seq)
  )
})
