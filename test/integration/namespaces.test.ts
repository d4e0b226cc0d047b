import assert from 'node:assert/strict'
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { treelineCommand } from '../../demo/relay-process.js'
import { eventually } from '../support/eventually.js'
import { ranWithNetworks } from '../support/machine/own-namespace.js'
import { ask, postForm } from '../support/network/http.js'
import { startAgent } from '../support/relays/agents.js'
import { changeConfig } from '../support/relays/relay-behind-proxy.js'
import { startTree } from '../support/relays/relay-tree.js'
import { signContent } from '../support/work/signed-files.js'

/**
 * Three network namespaces in a row: the root in the first, and in the last a relay. Between them a router that translates
 * the relay's address into its own and lets nothing in, but what answers the relay (where there is no `nft`, it only
 * routes, and the root has no way back to it beyond the router). Needs root, or a namespace in which its user is root;
 * partition.test.ts has the same with proxies.
 * The test starts itself again within the first namespace, so that it can ask the root there.
 */
const INSIDE = process.env.TREELINE_TEST_NAMESPACE
const UP = INSIDE ?? `tl-up-${process.pid}`
const ROUTER = UP.replace('-up-', '-nat-')
const DOWN = UP.replace('-up-', '-down-')
const ADDRESS = '10.77.1.1'
const ROUTER_ADDRESS = '10.77.1.2'
const RELAY_ADDRESS = '10.77.2.2'
const HAS_NFT = spawnSync('nft', ['--version']).status === 0
const NAT = `
table ip nat {
  chain out { type nat hook postrouting priority srcnat; oifname "outer" masquerade; }
}
table ip guard {
  chain through {
    type filter hook forward priority filter; policy drop;
    iifname "inner" accept
    ct state established,related accept
    reject
  }
}
`

function ip(...args: readonly string[]): void {
  execFileSync('ip', args, { stdio: 'ignore' })
}

/** The cables between them, and the router's rules. */
function connectNamespaces(): void {
  ip('-n', UP, 'link', 'add', 'cable', 'type', 'veth', 'peer', 'name', 'outer', 'netns', ROUTER)
  ip('-n', DOWN, 'link', 'add', 'cable', 'type', 'veth', 'peer', 'name', 'inner', 'netns', ROUTER)
  for (const [name, device, address] of [
    [UP, 'cable', ADDRESS],
    [ROUTER, 'outer', ROUTER_ADDRESS],
    [ROUTER, 'inner', '10.77.2.1'],
    [DOWN, 'cable', RELAY_ADDRESS]
  ] as const) {
    ip('-n', name, 'addr', 'add', `${address}/30`, 'dev', device)
    ip('-n', name, 'link', 'set', device, 'up')
  }
  ip('-n', DOWN, 'route', 'add', 'default', 'via', '10.77.2.1')
  // the root could send to the relay: it is the router that lets nothing in, as without `nft` it is not
  ip('-n', UP, 'route', 'add', '10.77.2.0/30', 'via', ROUTER_ADDRESS)
  ip('netns', 'exec', ROUTER, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward')
  if (HAS_NFT) execFileSync('ip', ['netns', 'exec', ROUTER, 'nft', '-f', '-'], { input: NAT })
}

function mayMakeNamespaces(): boolean {
  const probe = `tl-probe-${process.pid}`
  if (spawnSync('ip', ['netns', 'add', probe]).status !== 0) return false
  return spawnSync('ip', ['netns', 'del', probe]).status === 0
}

if (INSIDE === undefined) {
  test('in network namespaces', async t => {
    if (await ranWithNetworks(t)) return
    if (!mayMakeNamespaces()) {
      t.skip('it needs ip, and root or a user who may make namespaces')
      return
    }
    t.after(() => {
      for (const name of [DOWN, ROUTER, UP]) spawnSync('ip', ['netns', 'del', name])
    })
    for (const name of [UP, ROUTER, DOWN]) {
      ip('netns', 'add', name)
      ip('-n', name, 'link', 'set', 'lo', 'up')
    }
    connectNamespaces()
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
  test('a relay and a node that nobody can connect to, and their network goes away for a while', async t => {
    const relays = [
      { id: 'root', under: 'root', nodes: ['node-r1', 'node-r2'] },
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
    const { port: portBelow } = new URL(relayA.url)
    await changeConfig(relayA, /(https_listen = ")[^"]*"/, `$1${HAS_NFT ? RELAY_ADDRESS : '127.0.0.1'}:${portBelow}"`)
    await changeConfig(relayA, /(\[output\.upstream\]\nhost = ")[^"]*"/, `$1${ADDRESS}:${port}"`)
    await tree.restart('root')
    const { program, args } = treelineCommand(['serve', '--config', relayA.directory])
    const below = spawn('ip', ['netns', 'exec', DOWN, program, ...args], { stdio: 'ignore' })
    t.after(() => below.kill('SIGKILL')) // `ip netns exec` has become the program
    const links = async () =>
      JSON.parse((await ask(root, '/v1/relay/links')).text).result as { id: string; remote_address: string }[]

    const file = (name: string) => signContent('node-a1', tree.member('node-r1'), name, randomBytes(300_000))
    const put = async ({ path, body }: ReturnType<typeof file>) =>
      (await ask(root, `${path}?ttl=1h`, { method: 'PUT', body })).status
    const run = async (node: string) =>
      (await postForm(root, `/rudder/relay-api/remote-run/nodes/${node}`, { keep_output: 'true' })).text
    const both = () => eventually('both links', async () => (await links()).length === 2)

    await startAgent(t, tree, 'node-r2', { upstream: `${ADDRESS}:${port}`, namespace: DOWN })
    await both()
    if (HAS_NFT) {
      const shown = (await links()).map(({ remote_address: from }) => from.split(':')[0])
      assert.deepEqual(shown, [ROUTER_ADDRESS, ROUTER_ADDRESS], 'their address is translated')
    }
    for (const host of [RELAY_ADDRESS, ROUTER_ADDRESS]) {
      const [error] = await once(connect({ host, port: Number(portBelow) }), 'error')
      assert.match(String(error), /ECONNREFUSED|EHOSTUNREACH|EACCES/)
    }
    assert.equal(await put(file('first')), 200)
    assert.match(await run('node-a1'), /agent of node-a1/)
    assert.match(await run('node-r2'), /node run:/)

    ip('-n', ROUTER, 'link', 'set', 'outer', 'down')
    const waiting = Array.from({ length: 20 }, (_, index) => file(`waiting-${index}`))
    for (const one of waiting) assert.equal(await put(one), 202)
    assert.match(await run('node-a1'), /error: /)
    await eventually('the root to notice', async () => (await links()).length === 0)
    ip('-n', ROUTER, 'link', 'set', 'outer', 'up')

    await both()
    await eventually('an empty outbox', async () => JSON.parse((await ask(root, '/outbox')).text).entries.length === 0)
    for (const { path, hash } of waiting) {
      assert.equal((await ask(root, `${path}?hash=${hash}`, { method: 'HEAD' })).status, 200)
    }
    assert.match(await run('node-a1'), /agent of node-a1/)
    assert.match(await run('node-r2'), /node run:/)
  })
}
