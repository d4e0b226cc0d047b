import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { eventually } from '../support/eventually.js'
import { startTcpProxy } from '../support/network/tcp-proxy.js'
import { getJson, type JoinedTree, type Machine, startJoinedTree, succeed } from '../support/relays/joined-tree.js'

/** How long asking takes while the forwarder is silent. */
const CONNECT_TIMEOUT = 'connect_timeout = "1s"'

async function change({ folder }: Machine, from: string, to: string): Promise<void> {
  const file = join(folder, 'main.conf')
  const text = await readFile(file, 'utf8')
  assert.ok(text.includes(from), `${from} in ${text}`)
  await writeFile(file, text.replace(from, to))
}

async function linksOf(machine: Machine): Promise<string[]> {
  const { result } = (await getJson(machine, '/v1/relay/links')) as { result: { id: string }[] }
  return result.map(({ id }) => id)
}

/** Shares a file of `source` with the root. @returns what `treeline share` says */
async function share(tree: JoinedTree, at: Machine, source: Machine, fileId: string): Promise<string> {
  const path = join(tree.folder, fileId)
  await writeFile(path, `content of ${fileId}`)
  const key = join(source.folder, 'sign.key')
  const names = ['--source', source.id, '--key', key, '--ttl', '1h', 'root', fileId, path]
  return (await succeed(tree.ask(at, 'share', ...names))).stdout
}

async function untilAtRoot({ root }: JoinedTree, ...fileIds: readonly string[]): Promise<void> {
  await eventually(`${fileIds.join()} at the root`, async () => {
    const names = await readdir(join(root.folder, 'shared-files'), { recursive: true })
    return fileIds.every(fileId => names.some(name => basename(name) === fileId))
  })
}

test('what joined through a forwarded port asks its policy server there, with a link and without', async t => {
  const tree = await startJoinedTree(t)
  const { root } = tree
  const forwarder = await startTcpProxy(t, root.port)
  const relay = await tree.machine('relay-a')
  const line = (await tree.token('--relay')).map(word =>
    word.startsWith('https:') ? `https://127.0.0.1:${forwarder.port}` : word
  )
  await succeed(tree.join(relay, line))
  await change(relay, '[general]\n', `[general]\n${CONNECT_TIMEOUT}\n`)
  const node = await tree.machine('node-1')

  await t.test('without a link', async () => {
    await change(relay, 'dial = true', 'dial = false')
    const process = await tree.serve(relay)
    await eventually('the tree', () => process.log.some(text => text.includes('tree received from the policy server')))
    // the node asks the root by way of the relay
    await succeed(tree.join(node, await tree.token('--node', '--under', 'relay-a')))
    await eventually('the tree with the node', async () => {
      const { policy_server: above } = (await getJson(relay, '/nodes/node-1')) as { policy_server?: string }
      return above === 'relay-a'
    })
    assert.deepEqual(await linksOf(root), [])
    assert.match(await share(tree, relay, node, 'first'), /stored/)
    forwarder.silence()
    forwarder.cut()
    assert.match(await share(tree, relay, node, 'second'), /pending/)
    forwarder.heal()
    await untilAtRoot(tree, 'first', 'second')
    await process.stop()
  })

  await t.test('with a link that breaks', async () => {
    await change(relay, 'dial = false', 'dial = true')
    await tree.serve(relay)
    await eventually('its link', async () => (await linksOf(root)).join() === 'relay-a')
    assert.match(await share(tree, relay, node, 'third'), /stored/)
    forwarder.silence()
    forwarder.cut()
    await eventually('the end of its link', async () => (await linksOf(root)).length === 0)
    assert.match(await share(tree, relay, node, 'fourth'), /pending/)
    forwarder.heal()
    await untilAtRoot(tree, 'third', 'fourth')
    await eventually('its next link', async () => (await linksOf(root)).join() === 'relay-a')
  })
})
