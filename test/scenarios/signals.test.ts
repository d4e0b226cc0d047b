import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { TreeRelay } from '../../demo/relay-tree.js'
import { eventually } from '../support/eventually.js'
import { openNotifySocket, untilCatches } from '../support/machine/notify-socket.js'
import { mountSmallDisk } from '../support/machine/small-disk.js'
import { type Ended, type Running, startTreeline } from '../support/machine/treeline-command.js'
import { ask, postForm } from '../support/network/http.js'
import { makeCertificate } from '../support/network/openssl-certificate.js'
import { startAgent } from '../support/relays/agents.js'
import { type RunningTree, startTree } from '../support/relays/relay-tree.js'
import { editConfig } from '../support/relays/tree-files.js'

const TOKENS = ['first-token-of-a-client', 'second-token-of-a-client'] as const

function hashLine(token: string): string {
  return `register:git ${createHash('sha256').update(token).digest('hex')}\n`
}

/** A relay with one node, not started yet. */
function oneRelay(t: TestContext, logLevel = 'info'): Promise<RunningTree> {
  const settings = { tokens: ['clients_file = "clients"'] }
  return startTree(t, {
    relays: [{ id: 'root', under: 'root', nodes: ['node-1'] }],
    absent: ['root'],
    logLevel,
    settings
  })
}

function count(text: string, message: string): number {
  return text.split(`"msg":"${message}"`).length - 1
}

function outputOf({ child }: Running): () => string {
  let output = ''
  child.stdout?.on('data', (text: string) => {
    output += text
  })
  return () => output
}

/** Empty once it has ended. */
function commandLineOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}

/** Tells a program to stop as soon as it listens for that, after signals that must do nothing by then. @param isLate where it was quicker: it is started again then */
async function stopEarly(
  t: TestContext,
  args: readonly string[],
  signal: NodeJS.Signals,
  isLate: (ended: Ended) => boolean
): Promise<Ended> {
  for (let attempt = 1; attempt < 20; attempt += 1) {
    const { child, ended } = startTreeline(t, args)
    await untilCatches(child.pid ?? 0, 'SIGALRM').catch(() => undefined) // it has ended by itself
    for (const each of ['SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGALRM', signal] as const) child.kill(each)
    const result = await ended
    if (!isLate(result)) return result
  }
  throw new Error(`${args.join(' ')} was always quicker than the signal`)
}

/** The processes that `pid` started and that run now. */
function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .filter(name => {
      try {
        return readFileSync(`/proc/${name}/stat`, 'utf8').split(') ')[1]?.split(' ')[1] === String(pid)
      } catch {
        return false // it has ended
      }
    })
    .map(Number)
}

test('a relay, an agent and a client live through SIGHUP, and the service manager hears of it', async t => {
  const tree = await oneRelay(t)
  const root = tree.relay('root')
  await writeFile(join(root.directory, 'clients'), TOKENS.map(hashLine).join(''))
  const manager = await openNotifySocket(t)
  const relay = startTreeline(t, ['serve', '--config', root.directory], {
    NOTIFY_SOCKET: manager.path,
    WATCHDOG_USEC: '600000'
  })
  const output = outputOf(relay)
  const pid = relay.child.pid ?? 0

  await t.test('of a relay that is not ready, it leads to one reload once it is', async () => {
    await untilCatches(pid, 'SIGHUP')
    assert.equal(count(output(), 'ready'), 0, 'the handler was there too late for this test')
    for (let times = 0; times < 3; times += 1) relay.child.kill('SIGHUP')
    await relay.printed('"msg":"ready"')
    await relay.printed('"msg":"reloaded"')
    await manager.received('READY=1', await manager.received('RELOADING=1'))
    assert.equal(count(output(), 'reloaded'), 1)
    assert.match(manager.messages[0] ?? '', /^(?:READY|WATCHDOG)=1$/)
    assert.match(manager.messages.find(message => message.startsWith('RELOADING')) ?? '', / MONOTONIC_USEC=\d+$/)
  })

  await t.test('signals without a meaning do nothing, and open no debugger', async () => {
    for (const signal of ['SIGUSR1', 'SIGUSR2', 'SIGALRM'] as const) relay.child.kill(signal)
    assert.equal((await ask(root, '/uuid')).text, 'root')
  })

  await t.test('signs of life come as long as the event loop turns', async () => {
    await manager.received('WATCHDOG=1', manager.messages.length)
    await manager.received('WATCHDOG=1', manager.messages.length)
  })

  await t.test(
    'commands and the processes that start them do not hear of the service manager, nor end by SIGHUP',
    async () => {
      const run = () => postForm(root, '/rudder/relay-api/remote-run/nodes/node-1', { keep_output: 'true' })
      assert.match((await run()).text, /agent of node-1/)
      const hosts = childrenOf(pid).filter(child => commandLineOf(child).includes('command-host'))
      assert.equal(hosts.length, 1)
      for (const host of hosts) {
        assert.doesNotMatch(readFileSync(`/proc/${host}/environ`, 'utf8'), /NOTIFY_SOCKET|WATCHDOG/)
        process.kill(host, 'SIGHUP')
      }
      assert.match((await run()).text, /agent of node-1/)
      assert.deepEqual(
        hosts.filter(host => childrenOf(pid).includes(host)),
        hosts
      )
    }
  )

  await t.test('an agent reads agent.conf again, and says what waits for a restart', async t => {
    const agent = await startAgent(t, tree, 'node-1')
    const file = join(agent.directory, 'agent.conf')
    const before = await readFile(file, 'utf8')
    const reloaded = async (text: string, message: string) => {
      const lines = agent.log.length
      await writeFile(file, text)
      agent.signal('SIGHUP')
      return eventually(message, () => agent.log.slice(lines).find(line => line.includes(message)))
    }
    await reloaded(before.replace(agent.command, '/bin/echo').replace('"state"', '"elsewhere"'), '"msg":"reloaded"')
    assert.ok(agent.log.some(line => line.includes('"settings":["storage.path"]')))
    const run = await postForm(root, '/rudder/relay-api/remote-run/nodes/node-1', { keep_output: 'true' })
    assert.match(run.text, /^agent run$/m)
    const refused = await reloaded(`${before}\nnonsense = 1\n[[`, 'cannot reload')
    assert.match(refused, /agent\.conf/)
    assert.equal(agent.log.filter(line => line.includes('link opened')).length, 1)
    await reloaded(before.replace(/host = ".*?:/, 'host = "localhost:'), '"url":"wss://localhost:')
  })

  await t.test('a client reads its token file again', async t => {
    const tokenFile = join(tree.folder, 'token')
    const ca = join(tree.folder, 'ca.pem')
    await Promise.all([writeFile(tokenFile, `${TOKENS[0]}\n`), writeFile(ca, root.certificate.certificatePem)])
    const options = ['--client-key', 'git', '--server-url', root.url, '--base-url', 'http://127.0.0.1:1', '--ca', ca]
    const client = startTreeline(t, ['client', ...options, '--health-listen', '127.0.0.1:0', '--token-file', tokenFile])
    const clientOutput = outputOf(client)
    await client.printed('"msg":"link opened"')
    await writeFile(tokenFile, TOKENS[1])
    client.child.kill('SIGHUP')
    await client.printed('reloaded; opening a new link')
    await eventually('a second link', () => count(clientOutput(), 'link opened') === 2)
    await writeFile(tokenFile, '')
    client.child.kill('SIGHUP')
    await client.printed('cannot reload')
    assert.ok(!TOKENS.some(token => clientOutput().includes(token)))
    client.child.kill('SIGTERM')
    assert.equal((await client.ended).code, 0)
  })

  await t.test('the token of a client on its command line cannot be read by other users', async t => {
    const ca = join(tree.folder, 'ca.pem')
    const options = ['--client-key', 'git', '--server-url', root.url, '--base-url', 'http://127.0.0.1:1', '--ca', ca]
    const client = startTreeline(t, ['client', ...options, '--health-listen', '127.0.0.1:0', '--token', TOKENS[0]])
    await client.printed('"msg":"link opened"')
    assert.match(commandLineOf(client.child.pid ?? 0), /^treeline client .* --token \*\*\*\0*$/)
    client.child.kill('SIGTERM')
    assert.equal((await client.ended).code, 0)
  })

  relay.child.kill('SIGTERM')
  assert.deepEqual(await relay.ended.then(({ code, stderr }) => [code, stderr]), [0, ''])
  await manager.received('STOPPING=1')
})

test('told to stop before they are ready, a relay, an agent and a client end in order', async t => {
  const tree = await oneRelay(t)
  const root = tree.relay('root')
  await writeFile(join(root.directory, 'clients'), '')
  const agent = join(tree.folder, 'agent')
  const { certFile, keyFile } = await makeCertificate(join(tree.folder, 'one'))
  const lines = [
    ...['node_id = "node-1"', `certificate_file = "${certFile}"`, `key_file = "${keyFile}"`, '[upstream]'],
    ...['host = "127.0.0.1:1"', `server_certificate_file = "${certFile}"`, '[storage]', 'path = "state"']
  ]
  await mkdir(agent)
  await writeFile(join(agent, 'agent.conf'), lines.join('\n'))
  const client = ['client', '--base-url', 'http://127.0.0.1:1', '--server-url', 'https://127.0.0.1:1']
  const programs: readonly (readonly string[])[] = [
    ['serve', '--config', root.directory],
    ['agent', '--config', agent],
    [...client, '--client-key', 'k', '--ca', certFile, '--token', 'x', '--health-listen', '127.0.0.1:0']
  ]
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    for (const args of programs) {
      const isLate = ({ stdout }: Ended) => count(stdout, 'ready') + count(stdout, 'started') > 0
      const { code, stderr } = await stopEarly(t, args, signal, isLate)
      assert.deepEqual([code, stderr], [0, ''], `${args[0]} ${signal}`)
    }
  }
  const relay = startTreeline(t, ['serve', '--config', root.directory])
  await relay.printed('"msg":"tree imported"')
  relay.child.kill('SIGTERM')
  assert.equal((await relay.ended).code, 0)
})

/** Serves requests, more of which are logged than is kept until it can be written, and counts the lines that are lost. */
async function assertServesWithoutLog(root: TreeRelay): Promise<void> {
  for (let round = 0; round < 40; round += 1) {
    await Promise.all(Array.from({ length: 50 }, () => ask(root, '/uuid')))
  }
  const run = await postForm(root, '/rudder/relay-api/remote-run/nodes/node-1', { keep_output: 'true' })
  assert.match(run.text, /agent of node-1/)
  const [, lost = ''] = /^treeline_log_lines_lost_total (\d+)$/m.exec((await ask(root, '/metrics')).text) ?? []
  assert.ok(Number(lost) > 0, lost)
}

/** A relay with one node, whose log tells of each request; `start` starts it, and waits until it serves. */
async function talkativeRelay(t: TestContext) {
  const tree = await oneRelay(t, 'debug')
  const root = tree.relay('root')
  await editConfig(root, text => text.replace('clients_file = "clients"', ''))
  const start = async (output?: string) => {
    const { child } = startTreeline(t, ['serve', '--config', root.directory], {}, output)
    await eventually('the relay', async () => {
      const answer = await ask(root, '/uuid').catch(() => undefined)
      return answer?.status === 200
    })
    return child
  }
  return { root, start }
}

async function stop(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  assert.deepEqual(await ended, [0, null])
}

test('a relay that cannot write its log goes on, and ends when it is told to', async t => {
  const { root, start } = await talkativeRelay(t)
  for (const output of ['/dev/full', undefined]) {
    const child = await start(output)
    child.stdout?.destroy() // whoever read the log has gone
    await assertServesWithoutLog(root)
    await stop(child)
  }
})

test('a relay whose disk for the log was full says what is missing as soon as there is room', async t => {
  const disk = await mountSmallDisk(t, 1)
  if (disk === undefined) return
  const { root, start } = await talkativeRelay(t)
  const file = join(disk.path, 'log')
  const child = await start(file)
  await disk.fill()
  await assertServesWithoutLog(root)
  await disk.empty()
  await eventually('the line about it', async () => {
    const lines = (await readFile(file, 'utf8')).split('\n')
    return lines.some(line => /"lines":[1-9]\d*,.*"msg":"log lines lost: cannot write the log"/.test(line))
  })
  await stop(child)
})
