import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { eventually } from '../support/eventually.js'
import { startTreeline } from '../support/machine/treeline-command.js'
import { postForm } from '../support/network/http.js'
import { type AgentProcess, showRun, startAgent } from '../support/relays/agents.js'
import { type RunningTree, startTree } from '../support/relays/relay-tree.js'
import { editConfig } from '../support/relays/tree-files.js'

const RUN = '/rudder/relay-api/remote-run/nodes'
const RELAYS = [
  { id: 'root', under: 'root', nodes: ['node-1', 'node-2'] },
  { id: 'relay-a', under: 'root', nodes: ['node-a1'], byLink: true }
]

function order(tree: RunningTree, nodes: string, form: Readonly<Record<string, string>>) {
  return postForm(tree.relay('root'), RUN, { nodes, ...form })
}

async function startWaiting(tree: RunningTree, nodes: string, seconds: number): Promise<string> {
  const answer = await order(tree, nodes, { asynchronous: 'true', wait: String(seconds) })
  assert.equal(answer.status, 200, answer.text)
  return String(answer.headers['treeline-run-id'])
}

async function outcomes(tree: RunningTree, runId: string): Promise<Record<string, string>> {
  const { node_records: records } = await showRun(tree, 'root', runId)
  return Object.fromEntries(records.map(({ node, outcome }) => [node, outcome]))
}

async function until(tree: RunningTree, runId: string, wanted: Readonly<Record<string, string>>): Promise<void> {
  await eventually(JSON.stringify(wanted), async () => {
    const found = await outcomes(tree, runId)
    return Object.entries(wanted).every(([node, outcome]) => found[node] === outcome)
  })
}

async function stop(agent: AgentProcess): Promise<void> {
  agent.signal('SIGTERM')
  await agent.ended
}

function starts(agent: AgentProcess): number {
  const lines = readFileSync(`${agent.command}.started`, 'utf8').trim().split('\n')
  return lines.filter(line => line !== 'end').length
}

test('a run waits for what is not connected, on disk, and expires', async t => {
  const tree = await startTree(t, { relays: RELAYS })
  const agent = await startAgent(t, tree, 'node-1')

  await t.test(
    'a node that held a link and is away: it runs when it comes, once, through restarts of the relay',
    async () => {
      await until(tree, await startWaiting(tree, 'node-1', 60), { 'node-1': 'done' })
      await stop(agent)
      const before = starts(agent)
      const runId = await startWaiting(tree, 'node-1,node-2', 600)
      await until(tree, runId, { 'node-1': 'queued', 'node-2': 'done' })
      const { wait_until: waitUntil, state } = await showRun(tree, 'root', runId)
      assert.equal(state, 'running')
      assert.ok(Date.parse(String(waitUntil)) > Date.now())
      await tree.processes.get('root')?.stop()
      await tree.restart('root')
      assert.deepEqual(await outcomes(tree, runId), { 'node-1': 'queued', 'node-2': 'done' })
      const relay = tree.processes.get('root')
      relay?.signal('SIGKILL')
      await relay?.ended
      await tree.restart('root')
      assert.deepEqual(await outcomes(tree, runId), { 'node-1': 'queued', 'node-2': 'done' })
      const again = await startAgent(t, tree, 'node-1')
      await until(tree, runId, { 'node-1': 'done' })
      assert.equal(starts(again), before + 1)
      await eventually('the end', async () => (await showRun(tree, 'root', runId)).state === 'done')
      await stop(again)
    }
  )

  await t.test('a sub-relay that is away: the run waits at the last relay that could be reached', async () => {
    await tree.processes.get('relay-a')?.stop()
    const runId = await startWaiting(tree, 'node-a1', 600)
    await until(tree, runId, { 'node-a1': 'queued' })
    await tree.restart('relay-a')
    await until(tree, runId, { 'node-a1': 'done' })
  })

  await t.test('a run that waits holds no stop up, though it is followed, and is told on after it', async () => {
    const relay = tree.relay('relay-a')
    await editConfig(relay, text => text.replace('[general]', '[general]\nstop_timeout = "1h"'))
    await tree.processes.get('relay-a')?.stop()
    await tree.restart('relay-a')
    await stop(await startAgent(t, tree, 'node-a1'))
    const runId = await startWaiting(tree, 'node-a1', 600)
    await until(tree, runId, { 'node-a1': 'queued' })
    await eventually('its arrival', async () => (await showRun(tree, 'relay-a', runId)).state === 'running')
    const follower = startTreeline(t, ['runs', 'events', runId, '--server', relay.localUrl])
    await follower.printed('start')
    const stopped = tree.processes.get('relay-a')
    stopped?.signal('SIGTERM')
    assert.equal(await stopped?.ended, 0)
    assert.notEqual((await follower.ended).code, 0, 'its end was not told')
    await tree.restart('relay-a')
    const agent = await startAgent(t, tree, 'node-a1')
    await until(tree, runId, { 'node-a1': 'done' })
    assert.equal(starts(agent), 1)
    await stop(agent)
  })

  await t.test('what does not come expires; cancelled is cancelled', async () => {
    await until(tree, await startWaiting(tree, 'node-1', 1), { 'node-1': 'expired' })
    const runId = await startWaiting(tree, 'node-1', 600)
    await until(tree, runId, { 'node-1': 'queued' })
    await postForm(tree.relay('root'), `/rudder/relay-api/runs/${runId}/cancel`, {})
    await until(tree, runId, { 'node-1': 'cancelled' })
  })

  await t.test('only an asynchronous run can wait, and not for ever', async () => {
    for (const form of [
      { wait: '60' },
      { wait: '604801', asynchronous: 'true' },
      { wait: '-1', asynchronous: 'true' }
    ]) {
      const answer = await order(tree, 'node-1', form)
      assert.equal(answer.status, 400)
      assert.match(answer.text, /invalid wait/)
    }
  })
})
