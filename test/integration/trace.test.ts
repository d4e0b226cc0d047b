import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { eventually } from '../support/eventually.js'
import { treeline } from '../support/machine/treeline-command.js'
import { ask, postForm } from '../support/network/http.js'
import { startAgent } from '../support/relays/agents.js'
import { type RunningTree, startTree } from '../support/relays/relay-tree.js'
import { signContent } from '../support/work/signed-files.js'

const RELAYS = [
  { id: 'root', under: 'root', nodes: ['node-r1'] },
  { id: 'relay-a', under: 'root', nodes: ['node-a1'] },
  { id: 'sub', under: 'relay-a', nodes: ['node-s1'], byLink: true },
  { id: 'relay-b', under: 'root', nodes: ['node-b1'] }
]

const toRoot = 'relay-b direct policy-server'

async function trace(tree: RunningTree, at: string, target: string) {
  const answer = await ask(tree.relay(at), `/rudder/relay-api/trace/${target}`)
  assert.equal(answer.status, 200, answer.text)
  const { hops, ...rest } = JSON.parse(answer.text)
  return { ...rest, ways: hops.map((hop: Record<string, unknown>) => `${hop.from} ${hop.way} ${hop.to}`), hops }
}

test('the way to a node, hop by hop, and where it is broken', async t => {
  const tree = await startTree(t, { relays: RELAYS })
  await eventually('the link of sub', async () => (await trace(tree, 'relay-a', 'node-s1')).problem === undefined)

  await t.test('down, over a connection and a link', async () => {
    const { ways, hops, reached, problem } = await trace(tree, 'root', 'node-s1')
    assert.deepEqual(ways, ['root direct relay-a', 'relay-a link sub', 'sub command node-s1'])
    assert.equal(problem, undefined)
    assert.equal(reached, 'sub')
    assert.ok(hops[0].round_trip_ms >= 0 && typeof hops[0].version === 'string')
  })

  await t.test('up and down the other branch', async () => {
    const { ways } = await trace(tree, 'relay-b', 'node-s1')
    const above = 'relay-b direct policy-server'
    assert.deepEqual(ways, [above, 'root direct relay-a', 'relay-a link sub', 'sub command node-s1'])
  })

  await t.test('a relay answers for itself', async () => {
    const { ways, reached, problem } = await trace(tree, 'root', 'sub')
    assert.deepEqual([ways, reached, problem], [['root direct relay-a', 'relay-a link sub'], 'sub', undefined])
    const beside = await trace(tree, 'root', 'relay-b')
    assert.deepEqual([beside.ways, beside.reached], [['root direct relay-b'], 'relay-b'])
    const itself = await trace(tree, 'relay-b', 'relay-b')
    assert.deepEqual([itself.ways, itself.reached, itself.problem], [[], 'relay-b', undefined])
  })

  await t.test('a node that holds a link, and one whose link is gone', async () => {
    const more = '[[agent.receive]]\nsource = "node-b1"\nfile_id = "f"\ndestination = "/proc/nowhere/f"'
    const agent = await startAgent(t, tree, 'node-r1', { more })
    const linked = await trace(tree, 'relay-b', 'node-r1')
    assert.deepEqual(
      [linked.ways, linked.reached, linked.problem],
      [[toRoot, 'root link node-r1'], 'node-r1', undefined]
    )
    assert.deepEqual(
      linked.hops.map((hop: { protocol?: string }) => hop.protocol),
      ['1-2', '1-2']
    )

    const form = { keep_output: 'true', asynchronous: 'true', classes: 'wait' }
    for (let runs = 0; runs < 3; runs += 1) {
      const run = postForm(tree.relay('root'), '/rudder/relay-api/remote-run/nodes/node-r1', form)
      run.catch(() => undefined) // the agent is killed
    }
    const { node } = await eventually('its runs', async () => {
      const found = await trace(tree, 'relay-b', 'node-r1')
      return found.node.runs_running === 1 && found.node.runs_waiting === 2 && found
    })
    const { validTo } = new X509Certificate(tree.member('node-r1').certificate.certificatePem)
    assert.equal(node.certificate_ends_at, new Date(validTo).toISOString())
    const file = signContent('node-r1', tree.member('node-b1'), 'f', 'content')
    const put = await ask(tree.relay('root'), `${file.path}?ttl=1h`, { method: 'PUT', body: file.body })
    assert.equal(put.status, 200, put.text)
    const problems = await eventually('its problem', async () => {
      const found = await trace(tree, 'relay-b', 'node-r1')
      return found.node.file_problems.length > 0 && found.node.file_problems
    })
    assert.match(problems[0], /^agent\.receive\[0\]: .*\/proc\/nowhere/)
    const shown = await treeline(t, ['trace', 'node-r1', '--server', tree.relay('relay-b').localUrl])
    assert.match(shown.stdout, /runs: 1 under way, 2 waiting\nits certificate ends 20.*\nfile: agent\.receive\[0\]: /)
    agent.signal('SIGKILL')
    await agent.ended
    const { reached, problem } = await eventually('the end of the link', async () => {
      const found = await trace(tree, 'root', 'node-r1')
      return found.ways[0] === 'root command node-r1' && found
    })
    assert.equal(reached, 'root')
    assert.match(problem, /node-r1 holds no link now/)
  })

  await t.test('a node that nobody knows', async () => {
    const { reached, problem } = await trace(tree, 'relay-b', 'nobody')
    assert.equal(reached, 'root')
    assert.match(problem, /no node nobody is in the tree/)
    assert.equal((await ask(tree.relay('root'), '/rudder/relay-api/trace/..%2Fx')).status, 400)
  })

  await t.test('as a table, with the exit code', async () => {
    const good = await treeline(t, ['trace', 'node-s1', '--server', tree.relay('root').localUrl])
    assert.equal(good.code, 0, good.stderr)
    assert.match(good.stdout, /^FROM +TO +WAY +ROUND TRIP/)
    assert.match(good.stdout, /relay-a +sub +link/)
    assert.match(good.stdout, /sub runs node-s1 by a command/)
  })

  await t.test('broken: the last one that answers, and what is wrong behind it', async () => {
    await tree.processes.get('sub')?.stop()
    const { ways, reached, problem } = await trace(tree, 'root', 'node-s1')
    assert.deepEqual(ways, ['root direct relay-a', 'relay-a direct sub'])
    assert.equal(reached, 'relay-a')
    assert.match(problem, /sub\.example\.test/)
    assert.equal((await trace(tree, 'root', 'sub')).reached, 'relay-a')
    const bad = await treeline(t, ['trace', 'node-s1', '--server', tree.relay('root').localUrl])
    assert.equal(bad.code, 1)
    assert.match(bad.stdout, /broken behind relay-a: .*sub\.example\.test/)
  })
})
