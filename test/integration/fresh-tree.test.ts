import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../support/eventually.js'
import { getJson, type Machine, startJoinedTree, succeed } from '../support/joined-tree.js'

interface Record {
  readonly node_records: readonly { readonly node: string; readonly outcome: string; readonly reached: string }[]
}

interface Trace {
  readonly hops: readonly { readonly from: string; readonly way: string; readonly to: string }[]
  readonly problem?: string
}

function untilLinked(machine: Machine, id: string): Promise<boolean> {
  return eventually(`the link of ${id}`, async () => {
    const { result } = (await getJson(machine, '/v1/relay/links')) as { result: { id: string }[] }
    return result.some(link => link.id === id)
  })
}

test('a tree made by init and join works at once: every machine runs its own agent', async t => {
  const tree = await startJoinedTree(t)
  const { root } = tree
  const [relay, leaf, node] = await Promise.all(['relay-1', 'relay-2', 'node-1'].map(id => tree.machine(id)))
  assert.ok(relay !== undefined && leaf !== undefined && node !== undefined)
  const line = await tree.token('--relay', '--uses', '2')
  await succeed(tree.join(relay, line))
  await succeed(tree.join(leaf, line))
  let relayProcess = await tree.serve(relay)
  await tree.serve(leaf)
  await succeed(tree.join(node, await tree.token('--node', '--under', 'relay-1')))
  const agent = tree.agent(node)
  await untilLinked(root, 'relay-1')
  await untilLinked(root, 'relay-2')
  await untilLinked(relay, 'node-1')

  await t.test('run --all exits with 0, each machine done', async () => {
    const { stdout, code, stderr } = await tree.ask(root, 'run', '--all', '--conditions', 'x')
    assert.equal(code, 0, stderr + stdout)
    assert.deepEqual(stdout.trim().split('\n').sort(), [
      '4 of 4 done',
      ...['node-1', 'relay-1', 'relay-2', 'root'].map(id => `${id}: agent run -D x`)
    ])
  })

  await t.test('a relay runs its machine for those on it too', async () => {
    const { stdout, code } = await tree.ask(relay, 'run', 'relay-1')
    assert.deepEqual([code, stdout], [0, 'relay-1: agent run\n1 of 1 done\n'])
  })

  await t.test('the way to a node that is away is its link, as no command stands in for it', async () => {
    agent.child.kill('SIGTERM')
    await agent.ended
    const { hops, problem } = await eventually('the end of its link', async () => {
      const found = (await getJson(root, '/trace/node-1')) as Trace
      return found.problem !== undefined && found
    })
    assert.deepEqual(
      hops.map(({ from, way, to }) => `${from} ${way} ${to}`),
      ['root link relay-1', 'relay-1 link node-1']
    )
    assert.match(problem ?? '', /^node-1 holds no link now, and remote_run\.fallback_command is false: /)
  })

  await t.test('while a relay is away its machine is unreachable, or waited for', async () => {
    await relayProcess.stop()
    const away = await tree.ask(root, 'run', 'relay-1', 'root')
    assert.equal(away.code, 1)
    assert.match(away.stdout, /1 of 2 done, 1 unreachable/)
    const waiting = await succeed(tree.ask(root, 'run', 'relay-1', '--wait', '1h'))
    const record = async () => (await getJson(root, `/runs/${waiting.stdout.trim()}`)) as Record
    assert.equal((await record()).node_records[0]?.outcome, 'queued')
    relayProcess = await tree.serve(relay)
    await eventually('the run that waited', async () => (await record()).node_records[0]?.outcome === 'done')
    assert.equal((await record()).node_records[0]?.reached, 'link')
  })
})
