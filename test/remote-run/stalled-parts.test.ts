import assert from 'node:assert/strict'
import { PassThrough, Readable } from 'node:stream'
import test, { type TestContext } from 'node:test'
import { RELAYD } from '../../src/hops/dialect.js'
import type { Hop } from '../../src/hops/hop.js'
import { NDJSON } from '../../src/network/header-names.js'
import { NodeQueues } from '../../src/remote-run/dispatch/node-queues.js'
import { StallWatch } from '../../src/remote-run/dispatch/stall-watch.js'
import { RUN_TIMING } from '../../src/remote-run/progress/run-timing.js'
import { CROWDED_RUNS } from '../../src/remote-run/run-slots.js'
import type { RunEvent } from '../../src/remote-run/run-types.js'
import { eventually } from '../support/eventually.js'
import { allEvents, orderOf, outcomesOf, startRuns, topologyOf } from '../support/parts/remote-runs.js'
import { answered, hopOf, ndjson, type TestHop } from '../support/parts/run-hops.js'

type Told = Omit<RunEvent, 'seq' | 'run'>

const TREE = topologyOf('root', { root: 'root', a: 'root', relay: 'root', b: 'relay', c: 'relay' })
const SOON = { stallMs: 50, stallSlackMs: 0 }
const LATE = { stallMs: 3_600_000, stallSlackMs: 0 }
const RUNNING = (node: string): Told => ({ event: 'node', node, outcome: 'running' })
const QUEUED = { outcome: 'queued' } as const
const DONE = (node: string): Told => ({ event: 'node', node, outcome: 'done', exit_code: 0 })
const ENDED: Told = { event: 'end', outcome: 'done' }

/** A neighbour that tells of `first`, and then `alive`, or what `more` gives, again and again until nobody reads it. */
interface LivingHop extends TestHop {
  /** How often it said that it is alive to the run that has heard least. */
  readonly told: () => number
}

function livingHop(t: TestContext, id: string, first: readonly Told[], more: (told: number) => Told[] = () => []) {
  const counts: number[] = []
  const bodies = new Set<PassThrough>()
  const beat = setInterval(() => {
    for (const body of bodies) if (!body.writableEnded) body.write('beat')
  }, 2)
  t.after(() => clearInterval(beat))
  const hop = hopOf(id, request => {
    if (!request.path.startsWith('remote-run/')) return answered('application/json', Readable.from([Buffer.from('{}')]))
    const index = counts.push(0) - 1
    let seq = first.length + 1
    const body = new PassThrough({
      transform(_beat, _encoding, done) {
        const events = more(counts[index] ?? 0)
        counts[index] = (counts[index] ?? 0) + 1
        const text = events.length > 0 ? ndjson(events, seq) : ndjson([{ event: 'alive' }], seq - 1)
        seq += events.length
        done(null, text)
        if (events.includes(ENDED)) body.end()
      }
    })
    body.push(ndjson(first))
    bodies.add(body)
    body.once('close', () => bodies.delete(body))
    return answered(NDJSON, body)
  })
  const told = () => Math.min(...counts)
  return Object.assign(hop, { told }) satisfies LivingHop
}

async function startRoot(t: TestContext, options: { hops?: Hop[]; linked?: Hop; timing: object; timeoutMs?: number }) {
  const { hops = [], linked, timing, timeoutMs = 1 } = options
  const { runs } = await startRuns(t, {
    topology: TREE,
    hops,
    linked: id => (id === linked?.id ? linked : undefined),
    timing,
    config: { timeoutMs }
  })
  return runs
}

function messagesOf(events: readonly RunEvent[]): string {
  return events.map(({ message }) => message ?? '').join('\n')
}

for (const asynchronous of [false, true]) {
  const kind = asynchronous ? 'asynchronous' : 'synchronous'
  test(`a node that only says that it is alive is timed out, and told to cancel (${kind})`, async t => {
    const hop = livingHop(t, 'a', [RUNNING('a')])
    const runs = await startRoot(t, { linked: hop, timing: SOON })
    const events = await allEvents(await runs.start(orderOf({ nodes: ['a'], asynchronous })))
    assert.deepEqual(outcomesOf(events), { a: 'timed_out' })
    assert.match(messagesOf(events), /nothing started or ended at a for \d+ s; see remote_run\.timeout/)
    assert.match(hop.requests.at(-1)?.path ?? '', /^runs\/\w+\/cancel$/)
  })
}

test('a node whose output never ends is timed out as well', async t => {
  const hop = livingHop(t, 'a', [RUNNING('a')], () => [{ event: 'output', node: 'a', stream: 'stdout', data: 'x\n' }])
  const runs = await startRoot(t, { linked: hop, timing: SOON })
  assert.deepEqual(outcomesOf(await allEvents(await runs.start(orderOf({ nodes: ['a'] })))), { a: 'timed_out' })
})

test('of a relay below, the nodes that have ended keep their outcome, and the others are timed out', async t => {
  const hop = livingHop(t, 'relay', [RUNNING('b'), DONE('b'), RUNNING('c')])
  const runs = await startRoot(t, { hops: [hop], timing: SOON })
  const events = await allEvents(await runs.start(orderOf({ nodes: ['b', 'c'] })))
  assert.deepEqual(outcomesOf(events), { b: 'done 0', c: 'timed_out' })
})

test('a neighbour that goes on after the end of its part is not listened to for long', async t => {
  const hop = livingHop(t, 'a', [RUNNING('a'), DONE('a'), ENDED])
  const runs = await startRoot(t, { linked: hop, timing: { ...LATE, silenceMs: 50 } })
  assert.deepEqual(outcomesOf(await allEvents(await runs.start(orderOf({ nodes: ['a'] })))), { a: 'done 0' })
})

test('a relay below waits for its nodes in silence for as long as the run waits', async t => {
  const hop = livingHop(t, 'relay', [], told => (told === 100 ? [DONE('b'), ENDED] : []))
  const runs = await startRoot(t, { hops: [hop], timing: { stallMs: 1, stallSlackMs: 0 } })
  const order = orderOf({ nodes: ['b'], asynchronous: true, waitUntilMs: Date.now() + 3_600_000 })
  assert.deepEqual(outcomesOf(await allEvents(await runs.start(order))), { b: 'done 0' })
})

test('nodes that print nothing for longer than remote_run.timeout run on, until places for runs run out', async t => {
  const hop = livingHop(t, 'a', [RUNNING('a')])
  const runs = await startRoot(t, { linked: hop, timing: LATE })
  const begin = () => runs.start(orderOf({ nodes: ['a'], asynchronous: true }))
  await Promise.all(Array.from({ length: CROWDED_RUNS - 1 }, begin))
  await eventually('each run was told that it is alive', () => hop.told() > 3)
  assert.equal(runs.status().running, CROWDED_RUNS - 1)
  await begin()
  await eventually('those that do not go on give way', () => runs.status().running < CROWDED_RUNS)
  const ended = (await runs.list(CROWDED_RUNS)).filter(({ state }) => state === 'done')
  assert.deepEqual(ended[0]?.counts, { timed_out: 1 })
})

test('a node that starts none of its runs gives their places back while places run out', async t => {
  const hop = livingHop(t, 'a', [])
  const runs = await startRoot(t, { linked: hop, timing: LATE })
  const begin = () => runs.start(orderOf({ nodes: ['a'], asynchronous: true }))
  await Promise.all(Array.from({ length: CROWDED_RUNS }, begin))
  await eventually('those that do not go on give way', () => runs.status().running < CROWDED_RUNS)
})

test('a run that waits in the queue of its node is waited for while the node goes on with others', async () => {
  const context = {
    config: { timeoutMs: 100 },
    timing: { ...RUN_TIMING, ...LATE },
    isCrowded: () => true,
    nodeQueues: new NodeQueues()
  }
  const scope = { order: { passed: [] }, progress: { table: { get: () => QUEUED } }, wait: undefined }
  const watchOf = (node: string) => new StallWatch(context, scope, { hop: { id: node }, node })
  const [first, second, elsewhere] = [watchOf('a'), watchOf('a'), watchOf('b')]
  await eventually('nothing went on for too long', () => second.whyOver !== undefined)
  first.goesOn()
  assert.equal(second.whyOver, undefined)
  assert.match(elsewhere.whyOver ?? '', /^nothing started or ended at b/)
  for (const watch of [first, second, elsewhere]) watch.end()
})

test('a neighbour that ends one node now and then is given up in the end', async t => {
  const hop = livingHop(t, 'relay', [RUNNING('b')], told => (told % 2 === 0 ? [RUNNING('c')] : []))
  const runs = await startRoot(t, { hops: [hop], timing: { ...LATE, partMs: 50 } })
  const events = await allEvents(await runs.start(orderOf({ nodes: ['b', 'c'] })))
  assert.deepEqual(outcomesOf(events), { b: 'timed_out', c: 'timed_out' })
  assert.match(messagesOf(events), /the part of the run at relay has been under way for 0\.0 days/)
})

const TEXT_ONLY_OVER =
  /relay only tells output, and has not ended its part of the run for \d+ s; see remote_run\.timeout/

test('an existing relay that prints for ever is timed out in the end', async t => {
  const body = new PassThrough()
  const beat = setInterval(() => body.write('R: node-b line\n'), 2)
  t.after(() => clearInterval(beat))
  const hop = hopOf('relay', () => answered('text/plain', body), false)
  const runs = await startRoot(t, { hops: [hop], timing: SOON })
  const events = await allEvents(await runs.start(orderOf({ nodes: ['b'] })))
  assert.deepEqual(outcomesOf(events), { b: 'timed_out' })
  assert.match(messagesOf(events), TEXT_ONLY_OVER)
})

test('a Treeline relay that is not recognized yet is not said to tell output alone', async t => {
  const hop: Hop = { ...livingHop(t, 'relay', [RUNNING('b')]), dialect: RELAYD }
  const runs = await startRoot(t, { hops: [hop], timing: SOON })
  const events = await allEvents(await runs.start(orderOf({ nodes: ['b'] })))
  assert.deepEqual(outcomesOf(events), { b: 'timed_out' })
  assert.match(messagesOf(events), /nothing started or ended at relay for \d+ s; see remote_run\.timeout/)
})

test('an existing relay that is silent for that long, before or after the head of its answer, is timed out', async t => {
  const unanswered = hopOf(
    'relay',
    async ({ silenceLimitMs }) => {
      await new Promise(resolve => setTimeout(resolve, silenceLimitMs))
      return { kind: 'unreachable', reason: 'it was silent', sent: true }
    },
    false
  )
  const answeredOnly = hopOf('relay', () => answered('text/plain', new PassThrough()), false)
  for (const hop of [unanswered, answeredOnly]) {
    const runs = await startRoot(t, { hops: [hop], timing: SOON })
    const events = await allEvents(await runs.start(orderOf({ nodes: ['b'] })))
    assert.deepEqual(outcomesOf(events), { b: 'timed_out' })
    assert.match(messagesOf(events), TEXT_ONLY_OVER)
  }
})

test('an existing relay whose answer breaks off before is lost', async t => {
  const body = new PassThrough()
  const hop = hopOf('relay', () => answered('text/plain', body), false)
  const runs = await startRoot(t, { hops: [hop], timing: LATE })
  const run = await runs.start(orderOf({ nodes: ['b'] }))
  body.destroy(new Error('cut'))
  const events = await allEvents(run)
  assert.deepEqual(outcomesOf(events), { b: 'unknown' })
  assert.match(messagesOf(events), /relay was lost: cut/)
})
