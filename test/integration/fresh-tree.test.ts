import assert from 'node:assert/strict'
import { appendFile, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { eventually } from '../support/eventually.js'
import { rawTimesIn } from '../support/raw-times.js'
import { getJson, type Machine, startJoinedTree, succeed } from '../support/relays/joined-tree.js'

interface Record {
  readonly node_records: readonly {
    readonly outcome: string
    readonly reached: string
    readonly message?: string
  }[]
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

/** As where the policy server reaches the relay, and no link is wanted. */
async function isReached(from: Machine, { id, folder, host, port }: Machine): Promise<void> {
  const conf = join(folder, 'main.conf')
  const text = await readFile(conf, 'utf8')
  assert.match(text, /^dial = true$/m)
  await writeFile(conf, text.replace('dial = true', 'dial = false'))
  await appendFile(join(from.folder, 'main.conf'), `\n[neighbours.addresses]\n"${id}" = "${host}:${port}"\n`)
  assert.equal((await fetch(`http://${from.local}/system/reload`, { method: 'POST' })).status, 200)
}

test('a tree made by init and join works at once: every machine runs its own agent', async t => {
  const tree = await startJoinedTree(t)
  const { root } = tree
  const [relay, leaf, node] = await Promise.all(['relay-1', 'relay-2', 'node-1'].map(id => tree.machine(id)))
  assert.ok(relay !== undefined && leaf !== undefined && node !== undefined)
  const line = await tree.token('--relay', '--uses', '2')
  await succeed(tree.join(relay, line))
  await succeed(tree.join(leaf, line))
  await isReached(root, leaf)
  let relayProcess = await tree.serve(relay)
  const leafProcess = await tree.serve(leaf)
  await succeed(tree.join(node, await tree.token('--node', '--under', 'relay-1')))
  const agent = tree.agent(node)
  await untilLinked(root, 'relay-1')
  await untilLinked(relay, 'node-1')

  await t.test('run --all exits with 0, each machine done', async () => {
    const { stdout, code, stderr } = await tree.ask(root, 'run', '--all', '--conditions', 'x')
    assert.equal(code, 0, stderr + stdout)
    assert.deepEqual(stdout.trim().split('\n').sort(), [
      '4 of 4 done',
      ...['node-1', 'relay-1', 'relay-2', 'root'].map(id => `${id}: agent run -D x`)
    ])
  })

  await t.test('a relay without a link is asked directly to run its machine, and told of when it is away', async () => {
    const record = async (...args: string[]) => {
      const { stdout } = await succeed(tree.ask(root, 'run', 'relay-2', '--async', ...args))
      return eventually('the end of the run', async () => {
        const found = (await getJson(root, `/runs/${stdout.trim()}`)) as Record
        return found.node_records[0]?.outcome !== 'queued' && found.node_records[0]
      })
    }
    assert.equal((await record()).reached, 'direct')
    await leafProcess.stop()
    const { outcome, message } = await record()
    assert.equal(outcome, 'unreachable')
    assert.match(message ?? '', /^it holds no link, and remote_run\.fallback_command is false \(.*ECONNREFUSED/)
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

  await t.test('while a relay is away its machine is unreachable, or waited for through a restart', async () => {
    await relayProcess.stop()
    const away = await tree.ask(root, 'run', 'relay-1', 'root')
    assert.equal(away.code, 1)
    assert.match(away.stdout, /1 of 2 done, 1 unreachable/)
    const waiting = await succeed(tree.ask(root, 'run', 'relay-1', '--wait', '1h'))
    const record = async () => (await getJson(root, `/runs/${waiting.stdout.trim()}`)) as Record
    assert.equal((await record()).node_records[0]?.outcome, 'queued')
    await tree.rootProcess.stop()
    await tree.serve(root)
    relayProcess = await tree.serve(relay)
    await eventually('the run that waited', async () => (await record()).node_records[0]?.outcome === 'done')
    assert.match((await record()).node_records[0]?.reached ?? '', /^(?:link|direct)$/, 'whichever was there first')
  })

  await t.test('every time, in what relays log and in what is printed for programs, has one form', async () => {
    const lines = [...tree.rootProcess.log, ...relayProcess.log, ...agent.soFar().split('\n')]
    const logged = lines.filter(line => line.startsWith('{')).map((line): unknown => JSON.parse(line))
    assert.ok(logged.some(line => JSON.stringify(line).includes('join token made')))
    const paths = [
      '/nodes',
      '/runs',
      '/v1/relay/links',
      '/trace/node-1',
      '/outbox',
      '/v1/system/status',
      '/system/status'
    ]
    const answers = await Promise.all(paths.map(path => getJson(root, path)))
    const commands = [
      ['token', 'list'],
      ['nodes', 'list'],
      ['runs', 'list'],
      ['links', 'list']
    ]
    const printed = await Promise.all(
      commands.map(async args => JSON.parse((await succeed(tree.ask(root, ...args, '--json'))).stdout) as unknown)
    )
    const values = [...logged, ...answers, ...printed]
    assert.deepEqual(rawTimesIn(values), [])
    assert.match(JSON.stringify(answers), /_at":"\d{4}-/, 'there are times in it')
  })
})
