import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import type { HopRequest, Neighbours } from '../../src/hops/hop.js'
import { createTracer, MAX_TRACES_PER_HOP } from '../../src/trace/trace.js'
import type { Topology } from '../../src/tree/topology.js'
import { eventually } from '../support/eventually.js'
import { originOf, outcome, TestHop } from '../support/parts/shared-file-relays.js'

async function silence({ signal }: HopRequest): Promise<never> {
  assert.ok(signal !== undefined)
  if (!signal.aborted) await once(signal, 'abort')
  throw signal.reason
}

test('a relay has a share of the traces at a silent hop, and another relay gets an answer', async () => {
  const hop = new TestHop('relay')
  hop.answer = silence
  const trace = createTracer({
    selfId: 'root',
    topology: () => ({ route: () => ({ kind: 'down', hop: 'relay' }) }) as unknown as Topology,
    neighbours: { down: () => hop, linked: () => undefined } as unknown as Neighbours,
    hasCommand: false,
    waitingFiles: async () => 0
  })
  const origins: AbortController[] = []
  const ask = (id: string) => {
    const gone = new AbortController()
    origins.push(gone)
    return trace('n2', { ...originOf({ kind: 'relay', id, address: '192.0.2.9' }), signal: gone.signal })
  }
  const share = MAX_TRACES_PER_HOP / 2 // half of all but one
  const many = Array.from({ length: share }, () => ask('r1'))
  const settled = Promise.allSettled(many)
  await eventually('the traces', () => hop.requests.length === share)
  const { problem } = await ask('r1')
  assert.equal(problem, 'relay: many traces are on their way there already; try again in a moment')

  hop.answer = () => outcome(200, JSON.stringify({ target: 'n2', hops: [], reached: 'n2', took_ms: 0 }))
  assert.equal((await ask('r2')).reached, 'n2')
  for (const gone of origins) gone.abort(new Error('the caller has gone'))
  await settled
  assert.equal((await ask('r1')).reached, 'n2', 'the places are free again')
})

test('a hop that refuses is told in its own words; one that does not know the path, as one without traces', async () => {
  const hop = new TestHop('policy-server')
  const trace = createTracer({
    selfId: 'relay-1',
    topology: () => ({ route: () => ({ kind: 'up' }) }) as unknown as Topology,
    neighbours: { up: () => hop, linked: () => undefined } as unknown as Neighbours,
    hasCommand: false,
    waitingFiles: async () => 0
  })
  const problemOf = async () => {
    const { reached, problem } = await trace('n2', originOf({ kind: 'local', address: '127.0.0.1' }))
    assert.equal(reached, 'policy-server')
    return problem
  }
  hop.answer = () => outcome(403, 'traces are for relays\u001b: relay-1 is a node\nand more\n')
  assert.equal(await problemOf(), 'policy-server answers 403: traces are for relays: relay-1 is a node')
  hop.answer = () => outcome(404, 'no such route\n')
  assert.match((await problemOf()) ?? '', /^policy-server answers 404, but knows no traces: an existing relay/)
})
