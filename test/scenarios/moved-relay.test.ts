import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { eventually } from '../support/eventually.js'
import { getJson, linksOf, startJoinedTree, succeed, untilLinked } from '../support/relays/joined-tree.js'

test('a relay that is moved follows with all below it, and is there after a restart', async t => {
  const tree = await startJoinedTree(t)
  const { root } = tree
  const line = await tree.token('--relay', '--uses', '2')
  const [relayA, relayB, node] = await Promise.all(['relay-a', 'relay-b', 'node-1'].map(id => tree.machine(id)))
  assert.ok(relayA !== undefined && relayB !== undefined && node !== undefined)
  for (const relay of [relayA, relayB]) await succeed(tree.join(relay, line))
  await tree.serve(relayA)
  const moving = await tree.serve(relayB)
  await succeed(tree.join(node, await tree.token('--node', '--under', 'relay-b')))
  tree.agent(node)
  await untilLinked(root, 'relay-a', 'relay-b')
  await untilLinked(relayB, 'node-1')
  const before = await readFile(join(relayB.folder, 'main.conf'), 'utf8')
  await writeFile(join(relayB.folder, 'main.conf'), `# keep this\n${before}`)
  await succeed(tree.ask(root, 'nodes', 'move', 'relay-b', '--under', 'relay-a'))
  await untilLinked(root, 'relay-a')
  await untilLinked(relayA, 'relay-b')
  const expected = before
    .replace(`host = "${root.host}:${root.port}"`, `host = "${relayA.host}:${relayA.port}"`)
    .replace('\nnode_id = "root"', '\nnode_id = "relay-a"')
  await eventually('the configuration', async () => {
    return (await readFile(join(relayB.folder, 'main.conf'), 'utf8')) === `# keep this\n${expected}`
  })
  const run = await tree.ask(root, 'trace', 'node-1')
  assert.match(run.stdout, /relay-a.*relay-b.*node-1/s, run.stderr)
  assert.deepEqual(await linksOf(relayB), ['node-1'])
  await eventually('its tree, from the new one', async () => {
    const status = (await getJson(relayB, '/system/status')) as { data: { nodes: { sync: { problem?: string } } } }
    return status.data.nodes.sync.problem === undefined
  })
  await moving.stop()
  await untilLinked(relayA)
  await tree.serve(relayB)
  await untilLinked(relayA, 'relay-b')
})
