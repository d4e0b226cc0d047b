import assert from 'node:assert/strict'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { freePorts } from '../../demo/free-ports.js'
import { eventually } from '../support/eventually.js'
import { startTreeline, temporaryFolder, treeline } from '../support/machine/treeline-command.js'
import { ask } from '../support/network/http.js'
import { startAgent } from '../support/relays/agents.js'
import { startTree } from '../support/relays/relay-tree.js'

/** Starts a client that never gets a link, and waits for its start. */
async function startLoneClient(t: TestContext, folder: string, key: string) {
  const [port = 0] = await freePorts(1)
  const options = ['--client-key', key, '--server-url', 'https://127.0.0.1:1', '--base-url', 'http://127.0.0.1:1']
  const env = { TREELINE_RUN_DIR: folder, TREELINE_TOKEN: 'a-token-of-some-length' }
  const client = startTreeline(t, ['client', ...options, '--health-listen', `127.0.0.1:${port}`], env)
  await client.printed('"msg":"started"')
  return client
}

test('treeline log shows and changes the level of a running client, and refuses what it cannot do', async t => {
  const folder = await temporaryFolder(t)
  const log = (...args: readonly string[]) => treeline(t, ['log', ...args], { TREELINE_RUN_DIR: folder })

  const none = await log()
  assert.deepEqual([none.code, none.stdout], [1, ''])
  assert.match(none.stderr, new RegExp(`no relay, agent or client .* is running\n.*${folder}; TREELINE_RUN_DIR`))

  const first = await startLoneClient(t, folder, 'git')
  assert.equal((await log()).stdout, 'Current log settings:\nLevel: info (2)\nTTL: none\n')
  const changed = await log('--level=debug')
  assert.deepEqual(
    [changed.code, changed.stdout, changed.stderr],
    [0, 'Configuration has been updated:\nCurrent log settings:\nLevel: debug (3)\nTTL: 10m\n', '']
  )
  assert.match((await log('-l', 'fatal', '-t', '1h30m')).stdout, /Level: fatal \(-1\)\nTTL: 1h30m\n/)
  assert.match((await log('-t', '24h')).stdout, /Level: fatal \(-1\)\nTTL: 24h\n/, 'the level stays')
  for (const [args, problem] of [
    [['-l', 'loud'], /--level "loud": expected one of: fatal, error, warn, info, debug, trace/],
    [['-t', '25h'], /--ttl should be at most 1day, not "25h"/],
    [['-t', '0s'], /--ttl should be at least 1s, not "0s"/],
    [['-l', 'warn', '-t', 'soon'], /--ttl: invalid duration: "soon"/],
    [['--pid', 'x1'], /--pid "x1": expected the id of a process/]
  ] as const) {
    const refused = await log(...args)
    assert.deepEqual([refused.code, refused.stdout], [2, ''])
    assert.match(refused.stderr, problem)
  }
  assert.match((await log()).stdout, /Level: fatal/, 'nothing has changed')

  const second = await startLoneClient(t, folder, 'registry')
  const several = await log('-l', 'trace')
  assert.equal(several.code, 2)
  assert.match(several.stderr, new RegExp(`--pid ${first.child.pid}  client git, level fatal`))
  assert.match(several.stderr, new RegExp(`--pid ${second.child.pid}  client registry, level info`))
  const chosen = await log('-l', 'trace', '-t', '1s', '--pid', String(second.child.pid))
  assert.equal(chosen.stdout, 'Configuration has been updated:\nCurrent log settings:\nLevel: trace (4)\nTTL: 1s\n')
  await second.printed('"msg":"log level reset"')
  const other = await log('--pid', '1')
  assert.deepEqual([other.code, other.stderr.split('\n')[0]], [1, 'treeline: no process 1 of this user has a socket'])

  second.child.kill('SIGKILL')
  await second.ended
  assert.match((await log()).stdout, /Level: fatal/, 'a process that is gone is none of several')
  first.child.kill('SIGTERM')
  assert.equal((await first.ended).code, 0)
  assert.equal((await readdir(folder)).filter(name => name.includes(`-${first.child.pid}-`)).length, 0)
})

test('a client whose folder of sockets is missing warns, and starts', async t => {
  const folder = join(await temporaryFolder(t), 'missing')
  const client = await startLoneClient(t, folder, 'git')
  assert.match(client.soFar(), /"reason":"ENOENT.*missing.*","msg":"no socket for treeline log"/)
})

test('a level that is set for a relay or an agent outlasts a reload, which it yields to when it ends', async t => {
  const tree = await startTree(t, { relays: [{ id: 'root', under: 'root', nodes: ['node-1'] }] })
  const root = tree.relay('root')
  const relay = tree.processes.get('root')
  const agent = await startAgent(t, tree, 'node-1')
  assert.ok(relay !== undefined)
  const log = async (pid: number, ...args: readonly string[]) =>
    (await treeline(t, ['log', '--pid', String(pid), ...args])).stdout

  assert.match(await log(agent.pid, '-l', 'debug'), /Level: debug/)
  assert.match(await log(relay.pid, '-l', 'debug', '-t', '1h'), /Level: debug/)
  await ask(root, '/v1/system/ready')
  await relay.logged(line => line.includes('"msg":"answered"') && line.includes('system/ready'))
  await writeFile(join(root.directory, 'logging.conf'), '[general]\nlevel = "warn"\n')
  relay.signal('SIGHUP')
  await relay.logged(line => line.includes('"msg":"reloaded"'))
  assert.match(await log(relay.pid), /Level: debug \(3\)/)
  await log(relay.pid, '-t', '1s')
  await eventually('the level of the file', async () => (await log(relay.pid)).includes('Level: warn (1)\nTTL: none'))
})
