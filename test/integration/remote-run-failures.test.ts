import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TreeRelay } from '../../demo/relay-tree.js'
import { eventually } from '../support/eventually.js'
import { ask, postForm } from '../support/network/http.js'
import { startTree } from '../support/relays/relay-tree.js'
import { SLOW_AGENT, slowAgents } from '../support/relays/slow-agent.js'

const RELAYS = [
  { id: 'root', under: 'root', nodes: ['node-r1', 'node-slow-r'] },
  { id: 'relay-a', under: 'root', nodes: ['node-a1'] },
  { id: 'sub', under: 'relay-a', nodes: ['node-slow', 'node-s1'] }
]

interface NodeRecord {
  readonly node: string
  readonly outcome: string
  readonly message?: string
}

test('remote runs when a caller leaves, a relay is away, or one starts again', async t => {
  const tree = await startTree(t, { relays: RELAYS, agent: SLOW_AGENT })
  const agents = slowAgents(tree.folder)
  const [root, relayA, sub] = ['root', 'relay-a', 'sub'].map(id => tree.relay(id))
  assert.ok(root !== undefined && relayA !== undefined && sub !== undefined)
  const latest = async (relay: TreeRelay): Promise<{ id: string }> =>
    JSON.parse((await ask(relay, '/runs?limit=1')).text).runs[0]
  const nodesOf = async (relay: TreeRelay, id: string): Promise<NodeRecord[]> =>
    JSON.parse((await ask(relay, `/runs/${id}`)).text).node_records
  const outcomeOf = async (relay: TreeRelay, id: string, node: string) =>
    (await nodesOf(relay, id)).find(found => found.node === node)?.outcome
  const ended = (relay: TreeRelay, id: string) =>
    eventually(`the end of ${id} at ${relay.id}`, async () => {
      const { state } = JSON.parse((await ask(relay, `/runs/${id}`)).text)
      return state !== 'running' && state
    })
  const kill = async (id: string) => {
    tree.processes.get(id)?.signal('SIGKILL')
    await tree.processes.get(id)?.ended
  }

  await t.test('a caller that leaves a synchronous run takes it along, down to the processes', async () => {
    for (const accept of ['*/*', 'application/x-ndjson']) {
      await agents.reset('node-slow')
      const leaving = new AbortController()
      const options = { signal: leaving.signal, headers: { accept } }
      const answer = postForm(root, '/remote-run/nodes/node-slow', { keep_output: 'true' }, options)
      const pid = await agents.started('node-slow')
      leaving.abort()
      await assert.rejects(answer)
      await agents.gone(pid)
      const { id } = await latest(root)
      for (const relay of tree.relays.values()) {
        assert.equal(await ended(relay, id), 'cancelled')
        assert.equal(await outcomeOf(relay, id, 'node-slow'), 'cancelled')
      }
    }
  })

  await t.test('an asynchronous run goes on without its caller', async () => {
    await agents.reset('node-slow')
    const leaving = new AbortController()
    const form = { keep_output: 'true', asynchronous: 'true' }
    const answer = postForm(root, '/remote-run/nodes/node-slow', form, { signal: leaving.signal })
    const pid = await agents.started('node-slow')
    leaving.abort()
    await assert.rejects(answer)
    await agents.release()
    await agents.gone(pid)
    const { id } = await latest(root)
    assert.equal(await ended(root, id), 'done')
    assert.equal(await outcomeOf(root, id, 'node-slow'), 'done')
  })

  await t.test('a sub-relay that ends in the middle is told of', async () => {
    await agents.reset('node-slow')
    const answer = postForm(root, '/remote-run/nodes', { keep_output: 'true', nodes: 'node-slow,node-a1' })
    const pid = await agents.started('node-slow')
    // not before the root knows that it runs: else the order might have been lost, and that is told in other words
    const { id } = await latest(root)
    await eventually('node-slow to be running', async () => (await outcomeOf(root, id, 'node-slow')) === 'running')
    await kill('sub')
    const { status, text, headers } = await answer
    assert.equal(status, 200)
    assert.match(text, /^end of node-a1/m)
    assert.match(text, /^error: .*sub was lost/m)
    assert.equal(await outcomeOf(root, String(headers['treeline-run-id']), 'node-slow'), 'unknown')
    await agents.release()
    await agents.gone(pid)
  })

  await t.test('a sub-relay that is away: told of in every combination, and nothing else fails', async () => {
    for (const [keepOutput, asynchronous] of [
      ['true', 'false'],
      ['true', 'true'],
      ['false', 'false']
    ] as const) {
      const form = { nodes: 'node-a1,node-s1', keep_output: keepOutput, asynchronous }
      const { status, text, headers } = await postForm(root, '/remote-run/nodes', form)
      assert.equal(status, 200)
      assert.match(text, /^error: sub cannot be reached: .*refused/m)
      assert.equal(/^end of node-a1/m.test(text), keepOutput === 'true')
      const id = String(headers['treeline-run-id'])
      await ended(root, id)
      assert.equal(await outcomeOf(root, id, 'node-s1'), 'unreachable')
      assert.equal(await outcomeOf(root, id, 'node-a1'), 'done')
    }
  })

  await t.test('synchronous, and nothing at all could be started: 502', async () => {
    for (const form of [{}, { keep_output: 'true' }] as Record<string, string>[]) {
      const { status, text } = await postForm(relayA, '/remote-run/nodes/node-s1', form)
      assert.equal(status, 502)
      assert.match(text, /^error: sub cannot be reached: /)
    }
    const asynchronous = await postForm(relayA, '/remote-run/nodes/node-s1', { asynchronous: 'true' })
    assert.equal(asynchronous.status, 200)
  })

  await t.test(
    'a relay that ends in the middle of an asynchronous run shows it as interrupted, and so does the one above',
    async () => {
      await tree.restart('sub')
      await agents.reset('node-slow')
      const answer = await postForm(root, '/remote-run/nodes', { asynchronous: 'true', nodes: 'node-slow,node-s1' })
      const id = String(answer.headers['treeline-run-id'])
      const pid = await agents.started('node-slow')
      await eventually('the end of node-s1', async () => (await outcomeOf(root, id, 'node-s1')) === 'done')
      await kill('sub')
      await tree.restart('sub')
      assert.equal(await ended(sub, id), 'interrupted')
      assert.equal(await outcomeOf(sub, id, 'node-slow'), 'interrupted')
      await ended(root, id)
      assert.equal(await outcomeOf(root, id, 'node-slow'), 'interrupted')
      assert.equal(await outcomeOf(root, id, 'node-s1'), 'done')
      await agents.release()
      await agents.gone(pid)
    }
  )

  await t.test('the relay that was asked ends: after its restart the run is there, interrupted', async () => {
    await agents.reset('node-slow-r')
    const answer = await postForm(root, '/remote-run/nodes', { asynchronous: 'true', nodes: 'node-slow-r,node-r1' })
    const id = String(answer.headers['treeline-run-id'])
    await agents.started('node-slow-r')
    await eventually('the end of node-r1', async () => (await outcomeOf(root, id, 'node-r1')) === 'done')
    await kill('root')
    await tree.restart('root')
    assert.equal(await ended(root, id), 'interrupted')
    assert.equal(await outcomeOf(root, id, 'node-slow-r'), 'interrupted')
    const events = (await ask(root, `/runs/${id}/events`)).text
      .trim()
      .split('\n')
      .map(line => JSON.parse(line))
    assert.deepEqual([events.at(-1).event, events.at(-1).outcome], ['end', 'interrupted'])
    await agents.release()
  })
})
