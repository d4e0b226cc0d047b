import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { ask, postForm } from '../support/network/http.js'
import { startTree } from '../support/relays/relay-tree.js'
import { editNodesList } from '../support/relays/tree-files.js'

/** The existing relay's limit is one argument of 128 KiB: 3,600 host names of 36 characters. */
const NODE_COUNT = 4_000

/** Says how many hosts it was given. */
const AGENT = `#!/bin/sh
for last do :; done
commas=$(printf %s "$last" | tr -dc , | wc -c)
echo "hosts: $((commas + 1))"
`

test('4,000 nodes with host names of 36 characters, below a sub-relay', async t => {
  const tree = await startTree(t, {
    relays: [
      { id: 'root', under: 'root', nodes: [] },
      { id: 'relay-a', under: 'root', nodes: [] }
    ],
    agent: AGENT,
    settings: { remote_run: ['batch_size = 100'] },
    absent: ['root', 'relay-a']
  })
  const ids = Array.from({ length: NODE_COUNT }, () => randomUUID())
  for (const relay of tree.relays.values()) {
    await editNodesList(relay, nodes => {
      for (const id of ids) nodes[id] = { hostname: id, 'policy-server': 'relay-a' }
    })
  }
  await Promise.all([...tree.relays.keys()].map(id => tree.restart(id)))
  const root = tree.relay('root')
  const lists = [
    ['all', {}, NODE_COUNT + 2],
    ['nodes', { nodes: ids.join(',') }, NODE_COUNT]
  ] as const
  for (const [path, form, count] of lists) {
    await t.test(`asked for as ${path}`, async () => {
      const answer = await postForm(root, `/remote-run/${path}`, { ...form, keep_output: 'true' })
      assert.equal(answer.status, 200)
      assert.doesNotMatch(answer.text, /^error/m)
      const hosts = [...answer.text.matchAll(/^hosts: (\d+)$/gm)].map(([, digits]) => Number(digits))
      assert.equal(
        hosts.reduce((sum, of) => sum + of, 0),
        count
      )
      assert.ok(hosts.every(of => of <= 100))
      const run = await ask(root, `/runs/${answer.headers['treeline-run-id']}?limit=1`)
      assert.deepEqual(JSON.parse(run.text).counts, { done: count })
    })
  }
})
