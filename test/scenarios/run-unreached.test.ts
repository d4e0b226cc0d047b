import assert from 'node:assert/strict'
import { test } from 'node:test'
import { treeline } from '../support/machine/treeline-command.js'
import { postForm } from '../support/network/http.js'
import { type NodeRecordJson, showRun } from '../support/relays/agents.js'
import { startTree } from '../support/relays/relay-tree.js'

/** The two nodes behind a relay that is down, two levels below. */
function assertUnreached(records: readonly NodeRecordJson[]): void {
  for (const id of ['node-s1', 'node-s2']) {
    const record = records.find(({ node }) => node === id)
    assert.equal(record?.outcome, 'unreachable')
    assert.equal(record.unreached?.from, 'relay-a')
    assert.equal(record.unreached.to, 'sub')
    assert.match(record.unreached.reason, /^https:\/\/.+: ./)
  }
  const reached = records.find(({ node }) => node === 'node-a1')
  assert.equal(reached?.outcome, 'done')
  assert.equal(reached.unreached, undefined)
}

test('the record of a run says at which hop a node was not reached, through levels and restarts', async t => {
  const tree = await startTree(t, { absent: ['sub'] })
  const answer = await postForm(tree.relay('root'), '/rudder/relay-api/remote-run/all', { keep_output: 'true' })
  const runId = String(answer.headers['treeline-run-id'])
  const records = async () => (await showRun(tree, 'root', runId)).node_records
  assertUnreached(await records())

  await t.test('after a restart', async () => {
    const root = tree.processes.get('root')
    root?.signal('SIGKILL')
    await root?.ended
    await tree.restart('root')
    assertUnreached(await records())
  })

  await t.test('as a table and as JSON', async () => {
    const show = ['runs', 'show', runId, '--server', tree.relay('root').localUrl]
    const table = await treeline(t, show)
    assert.equal(table.code, 0, table.stderr)
    assert.match(table.stdout, /^node-s1 +relay-a +unreachable .*relay-a -> sub /m)
    assert.match(table.stdout, /^node-r1 +command +done +0 +\S+ s +-/m)
    const json = await treeline(t, [...show, '--json'])
    assertUnreached(JSON.parse(json.stdout).node_records)
  })

  await t.test('where the relay asked is the last one reached', async () => {
    await tree.processes.get('relay-a')?.stop()
    const again = await postForm(tree.relay('root'), '/rudder/relay-api/remote-run/nodes', { nodes: 'node-s1' })
    const { node_records } = await showRun(tree, 'root', String(again.headers['treeline-run-id']))
    assert.equal(node_records[0]?.outcome, 'unreachable')
    assert.deepEqual([node_records[0].unreached?.from, node_records[0].unreached?.to], ['root', 'relay-a'])
  })
})
