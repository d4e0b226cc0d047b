import assert from 'node:assert/strict'
import test from 'node:test'
import { makeOrderParts } from '../../src/remote-run/dispatch/order.js'
import { MAX_HOSTS_ARGUMENT_BYTES, makeBatches } from '../../src/remote-run/execution/batches.js'
import { planRun } from '../../src/remote-run/progress/plan.js'
import { topologyOf } from '../support/parts/remote-runs.js'

const TREE = {
  root: 'root',
  relay: 'root',
  a: 'root',
  sub: 'relay',
  b: 'relay',
  c: 'sub'
}

test('all: managed nodes here, the sub-relay too; what is below it goes there; root is a node of its own', async () => {
  const plan = await planRun(topologyOf('root', TREE), { nodes: 'all' })
  assert.deepEqual(plan.here.map(node => node.id).sort(), ['a', 'relay', 'root'])
  assert.deepEqual([...(plan.down.get('relay') ?? [])].sort(), ['b', 'c', 'sub'])
  assert.equal(plan.here.find(node => node.id === 'a')?.hostname, 'a.example')
})

test('a relay that is not root does not run itself', async () => {
  const relay = topologyOf('relay', { relay: 'root', sub: 'relay', b: 'relay', c: 'sub' })
  const plan = await planRun(relay, { nodes: 'all' })
  assert.deepEqual(plan.here.map(node => node.id).sort(), ['b', 'sub'])
  assert.deepEqual((await planRun(relay, { nodes: ['relay', 'b', 'c'] })).unknown, ['relay'])
})

test('a list: each id once, unknown ones told', async () => {
  const plan = await planRun(topologyOf('root', TREE), { nodes: ['c', 'a', 'c', 'ghost', 'relay'] })
  assert.deepEqual(
    plan.here.map(node => node.id),
    ['a', 'relay']
  )
  assert.deepEqual([...plan.down], [['relay', ['c']]])
  assert.deepEqual(plan.unknown, ['ghost'])
})

test('an unknown node asked for by itself is an error; in a list of one it is told like any other', async () => {
  const topology = topologyOf('root', TREE)
  const single = { nodes: ['ghost'], isSingle: true }
  await assert.rejects(planRun(topology, single), { code: 'UNKNOWN_NODE', message: /ghost/ })
  assert.deepEqual((await planRun(topology, { nodes: ['ghost'] })).unknown, ['ghost'])
})

test('what can be no id is unknown; far more ids than nodes are an error', async () => {
  assert.deepEqual((await planRun(topologyOf('root', TREE), { nodes: ['../b', 'a b'] })).unknown, ['../b', 'a b'])
  const many = Array.from({ length: 2_000 }, (_, index) => `n${index}`)
  await assert.rejects(planRun(topologyOf('root', TREE), { nodes: many }), { code: 'INVALID_INPUT' })
})

test('batches keep to the size and below the longest argument, in order', () => {
  const nodes = Array.from({ length: 10_000 }, (_, index) => ({
    id: `n${index}`,
    hostname: `host-${String(index).padStart(5, '0')}.some.long.example.org`
  }))
  const batches = [...makeBatches(nodes, 1_000_000)]
  assert.deepEqual(batches.flat(), nodes)
  assert.ok(batches.length > 1)
  for (const batch of batches) {
    assert.ok(Buffer.byteLength(batch.map(node => node.hostname).join(',')) <= MAX_HOSTS_ARGUMENT_BYTES)
  }
  assert.deepEqual(
    [...makeBatches(nodes.slice(0, 5), 2)].map(batch => batch.length),
    [2, 2, 1]
  )
})

test('an order goes down as one form with classes, or as several when no form can hold the list', () => {
  const order = {
    runId: '01ARZ3NDEKTSV4RRFFQ69G5FAV',
    all: false,
    keepOutput: true,
    asynchronous: false,
    conditions: ['a', 'b'],
    passed: ['root', 'relay'],
    requestId: 'r1'
  }
  const [whole] = makeOrderParts(order, ['x', 'y'])
  assert.equal(whole?.path, 'remote-run/nodes')
  assert.equal(whole?.body.toString(), 'keep_output=true&asynchronous=false&classes=a%2Cb&nodes=x,y')
  assert.equal(whole?.headers['treeline-passed'], 'root,relay')
  const [all] = makeOrderParts({ ...order, all: true, conditions: [] }, ['x', 'y'])
  assert.equal(all?.path, 'remote-run/all')
  assert.equal(all?.body.toString(), 'keep_output=true&asynchronous=false&classes=')
  const parts = makeOrderParts(order, ['aaaa', 'bbbb', 'cccc'], 10)
  assert.deepEqual(
    parts.map(part => part.nodes),
    [['aaaa', 'bbbb'], ['cccc']]
  )
  assert.equal(parts[0]?.runId, order.runId)
  assert.notEqual(parts[1]?.runId, order.runId)
})
