import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import test, { type TestContext } from 'node:test'
import type { Hop } from '../../src/hops/hop.js'
import { NDJSON } from '../../src/network/header-names.js'
import { renderText } from '../../src/remote-run/event-log/text-output.js'
import type { Run } from '../../src/remote-run/run-types.js'
import { makeRunId } from '../../src/values/runs/run-id.js'
import { eventually } from '../support/eventually.js'
import {
  allEvents,
  orderOf,
  outcomesOf,
  startRuns,
  temporaryFolder,
  topologyOf,
  waitForEvent
} from '../support/parts/remote-runs.js'
import { answered, formOf, hopOf, ndjson, refused, relayHop } from '../support/parts/run-hops.js'

const BELOW = { b: 'relay', c: 'sub', sub: 'relay' }
const ROOT = topologyOf('root', { root: 'root', a: 'root', relay: 'root', ...BELOW })
const RELAY = topologyOf('relay', { relay: 'root', ...BELOW })
const SUB = topologyOf('sub', { sub: 'relay', c: 'sub' })
const HOST = '#!/bin/sh\nfor h; do :; done\n'

async function textOf(run: Run): Promise<string> {
  let text = ''
  for await (const part of renderText(run, new AbortController().signal, { withStderr: true })) text += part
  return text
}

/** A root over a relay over a sub-relay, all real, each with its own processes and files. */
async function startTree(t: TestContext, command?: string) {
  const own = command === undefined ? {} : { command }
  const sub = await startRuns(t, { topology: SUB, ...own })
  const subHop = relayHop('sub', sub.runs)
  const relay = await startRuns(t, { topology: RELAY, hops: [subHop], ...own })
  const relayHopOfRoot = relayHop('relay', relay.runs)
  const root = await startRuns(t, { topology: ROOT, hops: [relayHopOfRoot], ...own })
  return { root: root.runs, relay: relay.runs, sub: sub.runs, relayHop: relayHopOfRoot, subHop }
}

/** A root whose sub-relay is `hop`. */
async function startRoot(t: TestContext, hop: Hop, timing = {}) {
  return (await startRuns(t, { topology: ROOT, hops: [hop], timing })).runs
}

test('all of a tree of three levels runs, and the events of each level arrive', async t => {
  const tree = await startTree(t)
  const run = await tree.root.start(orderOf({ conditions: ['x', 'y'] }))
  const events = await allEvents(run)
  const all = { root: 'done 0', a: 'done 0', relay: 'done 0', sub: 'done 0', b: 'done 0', c: 'done 0' }
  assert.deepEqual(outcomesOf(events), all)
  assert.deepEqual(
    events.map(event => event.seq),
    events.map((_, index) => index + 1)
  )
  const c = events.find(event => event.event === 'output' && event.node === 'c' && event.stream === 'stdout')
  assert.equal(c?.relay, 'sub')
  assert.equal(c?.data, 'hello c.example\n')
  assert.equal((await tree.root.nodeRecords(run.id, 10)).find(node => node.node === 'c')?.via, 'relay')
  const [request] = tree.relayHop.requests
  assert.equal(request?.path, 'remote-run/all')
  assert.equal(request?.headers['treeline-passed'], 'root')
  assert.equal(request?.headers['treeline-run-id'], run.id)
  assert.match(request?.headers.accept ?? '', /application\/x-ndjson/)
  assert.equal((await tree.sub.record(run.id))?.state, 'done')
})

test('a list goes down only with the ids below that sub-relay, with classes even when there are none', async t => {
  const tree = await startTree(t)
  await (await tree.root.start(orderOf({ nodes: ['a', 'b', 'c'], keepOutput: false }))).ended
  const [request] = tree.relayHop.requests
  assert.ok(request)
  assert.equal(request.path, 'remote-run/nodes')
  assert.deepEqual(
    [...formOf(request)],
    [
      ['keep_output', 'false'],
      ['asynchronous', 'false'],
      ['classes', ''],
      ['nodes', 'b,c']
    ]
  )
})

test('sub-relays are asked at the same time, and while commands of our own run', async t => {
  const topology = topologyOf('root', { root: 'root', a: 'root', r1: 'root', x1: 'r1', r2: 'root', x2: 'r2' })
  const folder = temporaryFolder(t)
  const asked = new Set<string>()
  let run: Run | undefined
  // each of the two, and the command of `a`, goes on only once it knows of the two others
  const hops = ['r1', 'r2'].map(id =>
    hopOf(id, async () => {
      asked.add(id)
      if (asked.size === 2) writeFileSync(join(folder, 'asked'), '')
      await eventually('the other sub-relay and the command', () => asked.size === 2 && run !== undefined)
      if (run !== undefined) await waitForEvent(run, event => event.node === 'a' && event.event === 'output')
      const node = { event: 'node', node: `x${id.slice(1)}`, outcome: 'done', exit_code: 0 } as const
      return answered(NDJSON, Readable.from([Buffer.from(ndjson([node, { event: 'end', outcome: 'done' }]))]))
    })
  )
  const command = `${HOST}echo started\nwhile [ ! -e ${folder}/asked ]; do sleep 0.02; done\n`
  const { runs } = await startRuns(t, { topology, hops, command })
  run = await runs.start(orderOf({ nodes: ['a', 'x1', 'x2'] }))
  assert.deepEqual(outcomesOf(await allEvents(run)), { a: 'done 0', x1: 'done 0', x2: 'done 0' })
})

test('a cancel goes down to the processes of each level', async t => {
  const tree = await startTree(t, `${HOST}echo up\nexec sleep 60\n`)
  const run = await tree.root.start(orderOf({ asynchronous: true }))
  await waitForEvent(run, event => event.event === 'output' && event.node === 'c')
  await run.cancel('enough')
  for (const level of [tree.root, tree.relay, tree.sub]) {
    await (await level.find(run.id))?.ended
    assert.equal((await level.record(run.id))?.state, 'cancelled')
    assert.equal(level.status().commandsRunning, 0)
  }
  assert.deepEqual((await tree.root.record(run.id))?.counts, { cancelled: 6 })
})

test('an asynchronous run survives a lost stream: it is taken up again where it broke', async t => {
  const folder = temporaryFolder(t)
  const untilLost = `while [ ! -e ${folder}/lost ]; do sleep 0.02; done`
  const tree = await startTree(t, `${HOST}echo one $h\n${untilLost}\necho two $h\n`)
  const run = await tree.root.start(orderOf({ asynchronous: true, nodes: ['b', 'c'] }))
  await waitForEvent(run, event => event.event === 'output' && event.node === 'c')
  tree.relayHop.lose()
  writeFileSync(join(folder, 'lost'), '')
  const events = await allEvents(run)
  assert.deepEqual(outcomesOf(events), { b: 'done 0', c: 'done 0' })
  const output = events.flatMap(event => (event.node === 'c' ? (event.data ?? []) : []))
  assert.equal(output.join(''), 'one c.example\ntwo c.example\n')
  assert.match(tree.relayHop.requests.at(-1)?.path ?? '', /^runs\/\w+\/events\?after=[1-9]/)
})

test('a synchronous run that loses its sub-relay cancels it there and says so', async t => {
  const tree = await startTree(t, `${HOST}case $h in c.*) echo up; exec sleep 60 ;; esac\n`)
  const run = await tree.root.start(orderOf())
  await waitForEvent(run, event => event.event === 'output' && event.node === 'c')
  tree.relayHop.lose()
  const events = await allEvents(run)
  assert.equal(outcomesOf(events).c, 'unknown')
  assert.equal(outcomesOf(events).a, 'done 0')
  assert.match(events.find(event => event.event === 'error')?.message ?? '', /relay was lost/)
  await (await tree.sub.find(run.id))?.ended
  assert.equal((await tree.sub.record(run.id))?.state, 'cancelled')
})

test('a relay that cannot be reached: its nodes unreachable with the reason, the others run', async t => {
  const hop = hopOf('relay', () => ({ kind: 'unreachable', reason: '127.0.0.1:443: ECONNREFUSED', sent: false }))
  const root = await startRoot(t, hop)
  const run = await root.start(orderOf())
  assert.equal(await run.anyStarted, true)
  const text = await textOf(run)
  assert.match(text, /^error: relay cannot be reached: 127\.0\.0\.1:443: ECONNREFUSED$/m)
  assert.equal(text.match(/^error: /gm)?.length, 1)
  assert.match(text, /^hello a\.example$/m)
  const [b] = await root.nodeRecords(run.id, 1, 'a')
  assert.equal(b?.outcome, 'unreachable')
  assert.match(b?.message ?? '', /ECONNREFUSED/)
  const nothing = await root.start(orderOf({ nodes: ['b', 'c'] }))
  assert.equal(await nothing.anyStarted, false)
})

test('a refusal is passed on with its text', async t => {
  const root = await startRoot(
    t,
    hopOf('relay', () => refused(403, 'not from this address\n'))
  )
  const events = await allEvents(await root.start(orderOf({ nodes: ['b', 'a'] })))
  assert.deepEqual(outcomesOf(events), { a: 'done 0', b: 'refused' })
  const error = events.find(event => event.event === 'error')
  assert.equal(error?.message, 'relay refused: 403 not from this address')
})

test('an existing relay that speaks text: its lines are passed on, its nodes unknown', async t => {
  const hop = hopOf(
    'relay',
    () => answered('text/plain', Readable.from([Buffer.from('one\ntw'), Buffer.from('o')])),
    false
  )
  const root = await startRoot(t, hop)
  const run = await root.start(orderOf({ nodes: ['b', 'c', 'a'] }))
  const events = await allEvents(run)
  assert.deepEqual(outcomesOf(events), { a: 'done 0', b: 'unknown', c: 'unknown' })
  const lines = events.filter(event => event.event === 'output' && event.relay === 'relay')
  assert.equal(lines.map(event => event.data).join(''), 'one\ntwo')
  assert.ok((await textOf(run)).endsWith('one\ntwo\n'))
  assert.ok((hop.requests[0]?.silenceLimitMs ?? 0) > 86_400_000, 'it may say nothing until its last node has ended')
})

test('a sub-relay is believed only about nodes that are below it, and once about each', async t => {
  const body = ndjson([
    { event: 'start' },
    { event: 'output', node: 'a', stream: 'stdout', data: 'forged\n' },
    { event: 'node', node: 'a', outcome: 'done', exit_code: 1 },
    { event: 'node', node: 'relay', outcome: 'done', exit_code: 1 },
    { event: 'node', node: 'b', outcome: 'done', exit_code: 0 },
    { event: 'node', node: 'b', outcome: 'timed_out' },
    { event: 'end', outcome: 'done' }
  ])
  const root = await startRoot(
    t,
    hopOf('relay', () => answered(NDJSON, Readable.from([Buffer.from(body)])))
  )
  const run = await root.start(orderOf({ nodes: ['a', 'b', 'c', 'relay'] }))
  const events = await allEvents(run)
  assert.deepEqual(outcomesOf(events), { a: 'done 0', relay: 'done 0', b: 'done 0', c: 'unknown' })
  assert.ok(events.every(event => event.data !== 'forged\n'))
})

test('rubbish, a silent relay, and an answer that breaks off end the part with a reason', async t => {
  const silent = new PassThrough()
  silent.write(ndjson([{ event: 'start' }]))
  const answers: [Readable, RegExp][] = [
    [Readable.from([Buffer.from('<html>\n')]), /not an event/],
    [silent, /silent for 0\.05 s/],
    [Readable.from([Buffer.from(ndjson([{ event: 'start' }]))]), /broke off/]
  ]
  for (const [body, reason] of answers) {
    const root = await startRoot(
      t,
      hopOf('relay', () => answered(NDJSON, body), false),
      { silenceMs: 50 }
    )
    const events = await allEvents(await root.start(orderOf({ nodes: ['b', 'a'] })))
    assert.deepEqual(outcomesOf(events), { a: 'done 0', b: 'unreachable' })
    assert.match(events.find(event => event.event === 'error')?.message ?? '', reason)
  }
})

test('an asynchronous run gives a relay up that stays away', async t => {
  let first = true
  const hop = hopOf('relay', () => {
    if (!first) return { kind: 'unreachable', reason: 'gone', sent: false }
    first = false
    return answered(NDJSON, Readable.from([Buffer.from(ndjson([{ event: 'node', node: 'b', outcome: 'running' }]))]))
  })
  const root = await startRoot(t, hop, { resumeLimitMs: 60 })
  const events = await allEvents(await root.start(orderOf({ asynchronous: true, nodes: ['b', 'c'] })))
  assert.deepEqual(outcomesOf(events), { b: 'unknown', c: 'unreachable' })
  assert.ok(hop.requests.length > 2)
})

test('an order that may have arrived is asked after, not given again', async t => {
  const body = ndjson([
    { event: 'node', node: 'b', outcome: 'done', exit_code: 0 },
    { event: 'end', outcome: 'done' }
  ])
  const hop = hopOf('relay', request =>
    request.method === 'POST'
      ? { kind: 'unreachable', reason: 'reset', sent: true }
      : answered(NDJSON, Readable.from([Buffer.from(body)]))
  )
  const root = await startRoot(t, hop)
  const runId = makeRunId()
  const events = await allEvents(await root.start(orderOf({ runId, asynchronous: true, nodes: ['b', 'a'] })))
  assert.deepEqual(outcomesOf(events), { a: 'done 0', b: 'done 0' })
  assert.deepEqual(
    hop.requests.map(request => request.path),
    ['remote-run/nodes', `runs/${runId}/events?after=0`]
  )
})
