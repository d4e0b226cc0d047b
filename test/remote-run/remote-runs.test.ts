import assert from 'node:assert/strict'
import test from 'node:test'
import { ulid } from 'ulid'
import { renderText } from '../../src/remote-run/event-log/text-output.js'
import { MAX_RUNS } from '../../src/remote-run/run-slots.js'
import type { Run } from '../../src/remote-run/run-types.js'
import { makeRunId } from '../../src/values/runs/run-id.js'
import { allEvents, orderOf, outcomesOf, startRuns, topologyOf, waitForEvent } from '../support/parts/remote-runs.js'

const THREE = topologyOf('root', { root: 'root', a: 'root', fails: 'root' })
const DAY_MS = 86_400_000

async function textOf(run: Run): Promise<string> {
  let text = ''
  for await (const part of renderText(run, new AbortController().signal, { withStderr: true })) text += part
  return text
}

function managed(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`node${index}`, 'self']))
}

test('a run has numbered events, keeps the streams apart, and records each node', async t => {
  const { runs } = await startRuns(t, { topology: THREE })
  const run = await runs.start(orderOf({ conditions: ['x'] }))
  assert.equal(await run.anyStarted, true)
  const events = await allEvents(run)
  assert.deepEqual(
    events.map(event => event.seq),
    events.map((_, index) => index + 1)
  )
  assert.equal(events[0]?.event, 'start')
  assert.equal(events.at(-1)?.event, 'end')
  assert.equal(events.at(-1)?.outcome, 'done')
  assert.deepEqual(outcomesOf(events), { root: 'done 0', a: 'done 0', fails: 'done 3' })
  const output = events.filter(event => event.event === 'output' && event.node === 'a')
  assert.deepEqual(Object.fromEntries(output.map(event => [event.stream, event.data])), {
    stdout: 'hello a.example\n',
    stderr: 'careful a.example\n'
  })
  const record = await runs.record(run.id)
  assert.equal(record?.state, 'done')
  assert.deepEqual(record?.counts, { done: 2, failed: 1 })
  assert.deepEqual(record?.conditions, ['x'])
  assert.deepEqual(
    (await runs.nodeRecords(run.id, 2, 'a')).map(node => [node.node, node.outcome, node.exitCode]),
    [
      ['fails', 'done', 3],
      ['root', 'done', 0]
    ]
  )
  assert.equal((await runs.list(10))[0]?.id, run.id)
  assert.equal(runs.status().commandsRunning, 0)
  assert.deepEqual(await allEvents(run, events.length - 1), events.slice(-1))
})

test('a node whose command had begun is interrupted, not unreachable, when the process that started it is killed', async t => {
  const topology = topologyOf('self', managed(1))
  const { runs } = await startRuns(t, { topology, command: '#!/bin/sh\necho $PPID\nexec sleep 60\n' })
  const run = await runs.start(orderOf({}))
  const begun = await waitForEvent(run, event => event.event === 'output')
  process.kill(Number(begun.data), 'SIGKILL')
  const events = await allEvents(run)
  const end = events.find(event => event.event === 'node' && event.outcome !== 'running' && event.outcome !== 'queued')
  assert.equal(end?.outcome, 'interrupted')
  assert.match(end?.message ?? '', /^it had begun, and how it ended is not known: .* \(SIGKILL\)$/)
  assert.equal((await runs.nodeRecords(run.id, 1, ''))[0]?.outcome, 'interrupted')
})

test('without keep_output no output is in the events', async t => {
  const { runs } = await startRuns(t, { topology: THREE })
  const events = await allEvents(await runs.start(orderOf({ keepOutput: false })))
  assert.ok(events.every(event => event.event !== 'output'))
  assert.deepEqual(outcomesOf(events), { root: 'done 0', a: 'done 0', fails: 'done 3' })
})

test('the synchronous text has the output of each node in one piece, and a line for each failure', async t => {
  const command =
    '#!/bin/sh\nfor h; do :; done\nfor i in 1 2 3; do echo "$h $i"; sleep 0.02; done\nprintf "%s end" $h\n'
  const { runs } = await startRuns(t, { topology: topologyOf('self', managed(8)), command })
  const run = await runs.start(orderOf({ nodes: ['node1', 'node2', 'node3', 'node4', 'ghost'] }))
  const text = await textOf(run)
  for (const node of ['node1', 'node2', 'node3', 'node4']) {
    const host = `${node}.example`
    assert.ok(text.includes(`${host} 1\n${host} 2\n${host} 3\n${host} end\n`), text)
  }
  assert.match(text, /^error: ghost: .*unknown node/m)
  assert.equal(await textOf(run), text, 'an ended run reads the same')
})

test('the asynchronous text gives lines as they come, whole ones', async t => {
  const command = '#!/bin/sh\nfor h; do :; done\nprintf "$h "; sleep 0.05; printf "one\\ntwo"\n'
  const { runs } = await startRuns(t, { topology: topologyOf('self', managed(4)), command })
  const text = await textOf(await runs.start(orderOf({ asynchronous: true })))
  assert.deepEqual(
    text.split('\n').sort(),
    ['', ...Object.keys(managed(4)).flatMap(node => [`${node}.example one`, 'two'])].sort()
  )
})

test('without output the text is empty but for what failed', async t => {
  const { runs } = await startRuns(t, { topology: THREE })
  assert.equal(await textOf(await runs.start(orderOf({ keepOutput: false, nodes: ['a', 'root'] }))), '')
  const text = await textOf(await runs.start(orderOf({ keepOutput: false })))
  assert.equal(text, 'error: fails: exit code 3\n')
})

test('a command that cannot be started: nothing started, and each node has the reason', async t => {
  const { runs } = await startRuns(t, { topology: THREE, config: { command: '/nowhere/rudder' } })
  const run = await runs.start(orderOf())
  assert.equal(await run.anyStarted, false)
  const events = await allEvents(run)
  assert.deepEqual(outcomesOf(events), { root: 'unreachable', a: 'unreachable', fails: 'unreachable' })
  assert.match(await textOf(run), /^error: a: unreachable: cannot start \/nowhere\/rudder/m)
})

test('one unknown node, and a disabled relay are errors before anything starts', async t => {
  const { runs } = await startRuns(t, { topology: THREE })
  await assert.rejects(runs.start(orderOf({ nodes: ['ghost'], isSingle: true })), { code: 'UNKNOWN_NODE' })
  const { origin } = orderOf()
  await assert.rejects(runs.start(orderOf({ origin: { ...origin, passed: ['root'] } })), { code: 'LOOP_DETECTED' })
  assert.deepEqual(await runs.list(10), [])
  const disabled = await startRuns(t, { topology: THREE, config: { enabled: false } })
  await assert.rejects(disabled.runs.start(orderOf()), { code: 'DISABLED' })
})

test('an order is carried out once: the same id gives the first run, also after its end and a restart', async t => {
  const first = await startRuns(t, { topology: THREE })
  const runId = makeRunId()
  const [one, two] = await Promise.all([
    first.runs.start(orderOf({ runId, nodes: ['a', 'root'] })),
    first.runs.start(orderOf({ runId, nodes: ['a', 'root'] }))
  ])
  assert.equal(one, two)
  const events = await allEvents(one)
  assert.deepEqual(await allEvents(await first.runs.start(orderOf({ runId }))), events)
  await first.close()
  const second = await startRuns(t, { topology: THREE, folder: first.folder })
  assert.deepEqual(await allEvents(await second.runs.start(orderOf({ runId }))), events)
  assert.equal((await second.runs.list(10)).length, 1)
})

test('an id older than 7 days, or malformed, is refused; one from a clock that is ahead is carried out, once', async t => {
  const { runs } = await startRuns(t, { topology: THREE })
  const old = ulid(Date.now() - 8 * DAY_MS)
  await assert.rejects(runs.start(orderOf({ runId: old })), { code: 'CONFLICT', message: /older than 7 days/ })
  const ahead = ulid(Date.now() + 365 * DAY_MS)
  const events = await allEvents(await runs.start(orderOf({ runId: ahead })))
  assert.deepEqual(await allEvents(await runs.start(orderOf({ runId: ahead }))), events)
  await assert.rejects(runs.start(orderOf({ runId: '../../etc' })), { code: 'INVALID_INPUT' })
})

test('cancel stops what runs and what waits, and resolves when it is over', async t => {
  const command = '#!/bin/sh\necho started\nexec sleep 60\n'
  const { runs } = await startRuns(t, {
    topology: topologyOf('self', managed(20)),
    command,
    config: { concurrency: 2 }
  })
  const run = await runs.start(orderOf())
  await waitForEvent(run, event => event.event === 'output')
  await run.cancel('enough')
  const events = await allEvents(run)
  assert.equal(events.at(-1)?.outcome, 'cancelled')
  assert.deepEqual(new Set(Object.values(outcomesOf(events))), new Set(['cancelled']))
  assert.deepEqual((await runs.record(run.id))?.counts, { cancelled: 20 })
  assert.equal((await runs.record(run.id))?.state, 'cancelled')
  assert.equal(runs.status().commandsRunning, 0)
  await run.cancel('again')
})

test('a timeout is told per batch', async t => {
  const config = { timeoutMs: 100 }
  const { runs } = await startRuns(t, { topology: THREE, command: '#!/bin/sh\nexec sleep 60\n', config })
  const events = await allEvents(await runs.start(orderOf({ nodes: ['a'] })))
  assert.deepEqual(outcomesOf(events), { a: 'timed_out' })
})

test('output beyond the bound is dropped, and said so', async t => {
  const command = '#!/bin/sh\ni=0\nwhile [ $i -lt 2000 ]; do echo "line $i"; i=$((i+1)); done\n'
  const { runs } = await startRuns(t, { topology: THREE, command, config: { maxOutputBytes: 1_000 } })
  const events = await allEvents(await runs.start(orderOf({ nodes: ['a'] })))
  const output = events.flatMap(event => event.data ?? []).join('')
  assert.ok(output.length <= 1_000 && output.length > 900)
  assert.ok(output.endsWith('\n'))
  assert.equal(events.filter(event => event.event === 'error' && event.node === 'a').length, 1)
})

test('runs take turns: one node does not wait behind a large run', async t => {
  const command = '#!/bin/sh\nexec sleep 0.02\n'
  const { runs } = await startRuns(t, {
    topology: topologyOf('self', managed(60)),
    command,
    config: { concurrency: 2 }
  })
  const large = await runs.start(orderOf({ keepOutput: false }))
  const small = await runs.start(orderOf({ keepOutput: false, nodes: ['node59'] }))
  await small.ended
  assert.equal((await runs.record(large.id))?.state, 'running')
  assert.ok(((await runs.record(large.id))?.counts.queued ?? 0) > 30)
  await large.cancel('seen enough')
})

test('3,700 nodes with host names of 36 characters run in large batches', async t => {
  const ids = Array.from({ length: 3_700 }, (_, index) => `${'n'.repeat(22)}-${String(index).padStart(5, '0')}`)
  const command = '#!/bin/sh\nfor h; do :; done\nprintf %s "$h" | tr , "\\n" | wc -l\n'
  const { runs } = await startRuns(t, {
    topology: topologyOf('self', Object.fromEntries(ids.map(id => [id, 'self']))),
    command,
    config: { batchSize: 10_000 }
  })
  const run = await runs.start(orderOf())
  await run.ended
  assert.deepEqual((await runs.record(run.id))?.counts, { done: 3_700 })
})

test('what a batch of several says stands under its first node, with a note', async t => {
  const { runs } = await startRuns(t, { topology: topologyOf('self', managed(3)), config: { batchSize: 3 } })
  const run = await runs.start(orderOf())
  const events = await allEvents(run)
  assert.deepEqual(outcomesOf(events), { node0: 'done 0', node1: 'done 0', node2: 'done 0' })
  const output = events.filter(event => event.event === 'output')
  assert.ok(output.every(({ node, message }) => node === 'node0' && message === 'output of a batch of 3 nodes'))
  const hosts = 'node0.example,node1.example,node2.example'
  assert.deepEqual((await textOf(run)).trim().split('\n').sort(), [`careful ${hosts}`, `hello ${hosts}`])
})

test('one run more than may be under way is refused, and taken when one has ended', async t => {
  const { runs } = await startRuns(t, { topology: THREE, command: '#!/bin/sh\nexec sleep 60\n' })
  const order = orderOf({ nodes: ['a'] })
  const [first] = await Promise.all(Array.from({ length: MAX_RUNS }, () => runs.start(order)))
  await assert.rejects(runs.start(order), { code: 'BUSY' })
  assert.equal(runs.status().running, MAX_RUNS)
  await first?.cancel('to make room')
  await runs.start(order)
})

test('a live reader hears that the run is alive, which is not recorded', async t => {
  const command = '#!/bin/sh\nexec sleep 60\n'
  const { runs } = await startRuns(t, { topology: THREE, command, timing: { aliveMs: 20 } })
  const run = await runs.start(orderOf({ nodes: ['a'] }))
  // one that comes before the node runs has an earlier number
  const alive = await waitForEvent(run, event => event.event === 'alive' && event.seq >= 2)
  assert.equal(alive.seq, 2)
  await run.cancel('seen enough')
  assert.ok((await allEvents(run)).every(event => event.event !== 'alive'))
})

test('a reader that goes away ends its stream alone', async t => {
  const { runs } = await startRuns(t, { topology: THREE, command: '#!/bin/sh\nexec sleep 60\n' })
  const run = await runs.start(orderOf({ nodes: ['a'] }))
  const gone = new AbortController()
  await assert.rejects(
    async () => {
      for await (const event of run.events(0, gone.signal)) {
        if (event.event === 'node') gone.abort(new Error('gone'))
      }
    },
    { message: 'gone' }
  )
  assert.equal((await runs.record(run.id))?.state, 'running')
})

test('stop cancels what runs and takes no more orders', async t => {
  const { runs } = await startRuns(t, { topology: THREE, command: '#!/bin/sh\nexec sleep 60\n' })
  const run = await runs.start(orderOf())
  await runs.stop()
  assert.equal((await runs.record(run.id))?.state, 'cancelled')
  await assert.rejects(runs.start(orderOf()), { code: 'STOPPING' })
})
