import assert from 'node:assert/strict'
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { treelineCommand } from '../../demo/relay-process.js'
import { eventually } from '../support/eventually.js'
import { ask, postForm } from '../support/http.js'
import { changeConfig } from '../support/relay-behind-proxy.js'
import { startTree } from '../support/relay-tree.js'
import { signContent } from '../support/signed-files.js'

/**
 * Two network namespaces with one cable between them: the root is in one, and in the other a relay that listens on
 * nothing but its own loopback, as behind NAT with all inbound closed. Needs root; partition.test.ts has the same with
 * proxies. The test starts itself again within the first namespace, so that it can ask the root there.
 */
const INSIDE = process.env.TREELINE_TEST_NAMESPACE
const UP = INSIDE ?? `tl-up-${process.pid}`
const DOWN = UP.replace('-up-', '-down-')
const ADDRESS = '10.77.1.1'

function ip(...args: readonly string[]): void {
  execFileSync('ip', args, { stdio: 'ignore' })
}

function mayMakeNamespaces(): boolean {
  const probe = `tl-probe-${process.pid}`
  if (spawnSync('ip', ['netns', 'add', probe]).status !== 0) return false
  return spawnSync('ip', ['netns', 'del', probe]).status === 0
}

if (INSIDE === undefined) {
  const skip = mayMakeNamespaces() ? false : 'it needs root, and ip'
  test('in network namespaces', { skip }, async t => {
    t.after(() => {
      spawnSync('ip', ['netns', 'del', DOWN])
      spawnSync('ip', ['netns', 'del', UP])
    })
    for (const name of [UP, DOWN]) {
      ip('netns', 'add', name)
      ip('-n', name, 'link', 'set', 'lo', 'up')
    }
    ip('-n', UP, 'link', 'add', 'cable', 'type', 'veth', 'peer', 'name', 'cable', 'netns', DOWN)
    ip('-n', UP, 'addr', 'add', `${ADDRESS}/30`, 'dev', 'cable')
    ip('-n', DOWN, 'addr', 'add', '10.77.1.2/30', 'dev', 'cable')
    for (const name of [UP, DOWN]) ip('-n', name, 'link', 'set', 'cable', 'up')
    const { NODE_TEST_CONTEXT: _, ...env } = process.env
    const inner = ['netns', 'exec', UP, process.execPath, '--import', 'tsx', fileURLToPath(import.meta.url)]
    const child = spawn('ip', inner, {
      env: { ...env, TREELINE_TEST_NAMESPACE: UP },
      stdio: ['ignore', 'pipe', 'inherit']
    })
    let said = ''
    child.stdout.on('data', chunk => {
      said += chunk
    })
    const [code] = await once(child, 'exit')
    assert.equal(code, 0, said)
    assert.match(said, /pass 1\b/)
  })
} else {
  test('a relay that nobody can connect to, and its network goes away for a while', async t => {
    const relays = [
      { id: 'root', under: 'root', nodes: ['node-r1'] },
      { id: 'relay-a', under: 'root', nodes: ['node-a1'], byLink: true }
    ]
    const settings = {
      links: ['ping_interval = "1s"', 'longest_wait = "1s"'],
      general: ['connect_timeout = "1s"', 'response_timeout = "1s"']
    }
    const tree = await startTree(t, { relays, absent: ['root', 'relay-a'], settings })
    const [root, relayA] = [tree.relay('root'), tree.relay('relay-a')]
    const { port } = new URL(root.url)
    await changeConfig(root, /(https_listen = ")[^"]*"/, `$1${ADDRESS}:${port}"`)
    await changeConfig(relayA, /(\[output\.upstream\]\nhost = ")[^"]*"/, `$1${ADDRESS}:${port}"`)
    await tree.restart('root')
    const { program, args } = treelineCommand(['serve', '--config', relayA.directory])
    const below = spawn('ip', ['netns', 'exec', DOWN, program, ...args], { stdio: 'ignore' })
    t.after(() => below.kill('SIGKILL')) // `ip netns exec` has become the program
    const links = async () => JSON.parse((await ask(root, '/v1/relay/links')).text).result.length

    const file = (name: string) => signContent('node-a1', tree.member('node-r1'), name, randomBytes(300_000))
    const put = async ({ path, body }: ReturnType<typeof file>) =>
      (await ask(root, `${path}?ttl=1h`, { method: 'PUT', body })).status
    const run = async () =>
      (await postForm(root, '/rudder/relay-api/remote-run/nodes/node-a1', { keep_output: 'true' })).text

    await eventually('the link', async () => (await links()) === 1)
    const [error] = await once(connect({ host: '10.77.1.2', port: Number(new URL(relayA.url).port) }), 'error')
    assert.match(String(error), /ECONNREFUSED/)
    assert.equal(await put(file('first')), 200)
    assert.match(await run(), /agent of node-a1/)

    ip('-n', UP, 'link', 'set', 'cable', 'down')
    const waiting = Array.from({ length: 20 }, (_, index) => file(`waiting-${index}`))
    for (const one of waiting) assert.equal(await put(one), 202)
    assert.match(await run(), /error: /)
    await eventually('the root to notice', async () => (await links()) === 0)
    ip('-n', UP, 'link', 'set', 'cable', 'up')

    await eventually('the link', async () => (await links()) === 1)
    await eventually('an empty outbox', async () => JSON.parse((await ask(root, '/outbox')).text).entries.length === 0)
    for (const { path, hash } of waiting) {
      assert.equal((await ask(root, `${path}?hash=${hash}`, { method: 'HEAD' })).status, 200)
    }
    assert.match(await run(), /agent of node-a1/)
  })
}
