import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../support/eventually.js'
import { ask, postForm } from '../support/network/http.js'
import { showRun } from '../support/relays/agents.js'
import { startMixedTree } from '../support/relays/text-relay-tree.js'

const RUN = '/rudder/relay-api/remote-run/nodes'
const RELAYS = [
  { id: 'root', under: 'root', nodes: ['node-r1'] },
  { id: 'old', under: 'root', nodes: ['node-o1', 'node-o2'] },
  { id: 'relay-b', under: 'root', nodes: ['node-b1'], byLink: true }
]

test('a run that waits is taken up after a crash, and an existing relay is not given its nodes again', async t => {
  let release = () => {}
  const released = new Promise<void>(resolve => {
    release = resolve
  })
  t.after(() => release())
  async function* run(node: string) {
    yield `start of ${node}\n`
    await released
  }
  const { tree, text } = await startMixedTree(t, { relays: RELAYS, textRelay: 'old', text: { run } })
  const root = tree.relay('root')
  const outcomes = async (runId: string) => {
    const { node_records: records } = await showRun(tree, 'root', runId)
    return Object.fromEntries(records.map(({ node, outcome }) => [node, outcome]))
  }

  await tree.processes.get('relay-b')?.stop()
  const form = { nodes: 'node-o1,node-b1', keep_output: 'true', asynchronous: 'true', wait: '600' }
  const cutOff = assert.rejects(postForm(root, RUN, form))
  await eventually('the existing relay to be at it', () => text.runs.length === 1)
  const { runs } = JSON.parse((await ask(root, '/rudder/relay-api/runs?limit=1')).text)
  const runId = String(runs[0]?.id)
  const killed = tree.processes.get('root')
  killed?.signal('SIGKILL')
  await killed?.ended
  await cutOff

  await tree.restart('root')
  await eventually('what becomes of its node', async () => {
    return text.runs.length > 1 || (await outcomes(runId))['node-o1'] === 'interrupted'
  })
  assert.equal(text.runs.length, 1)
  assert.equal((await outcomes(runId))['node-b1'], 'queued')
  await tree.restart('relay-b')
  await eventually('the end', async () => (await showRun(tree, 'root', runId)).state !== 'running')
  assert.deepEqual(await outcomes(runId), { 'node-o1': 'interrupted', 'node-b1': 'done' })
  assert.deepEqual(
    text.runs.map(({ node }) => node),
    ['node-o1']
  )
})
