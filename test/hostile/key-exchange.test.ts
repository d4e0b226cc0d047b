import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { connect } from 'node:tls'
import { formatJoinToken } from '../../src/keys/tokens/join-token.js'
import { temporaryFolder, treeline } from '../support/machine/treeline-command.js'
import { ask } from '../support/network/http.js'
import { openHelloReader } from '../support/network/offered-groups.js'
import { assertServes } from '../support/relays/relay-health.js'
import { startTree } from '../support/relays/relay-tree.js'

/** X25519, P-256 and P-384, as RFC 8446 numbers them, and ML-KEM with X25519, where this Node has it. */
const FAST = [0x1d, 0x17, 0x18, 0x11ec]
const NO_PROXY = { HTTPS_PROXY: '', https_proxy: '', NO_PROXY: '', no_proxy: '' }

function assertFast(groups: readonly number[]): void {
  assert.ok(groups.length > 0)
  assert.deepEqual(
    groups.filter(group => !FAST.includes(group)),
    []
  )
}

/** Whether a server shakes hands with a caller that offers this group alone. */
function isTaken(t: TestContext, url: string, ecdhCurve: string): Promise<boolean> {
  const { hostname: host, port } = new URL(url)
  const socket = connect({ host, port: Number(port), rejectUnauthorized: false, ecdhCurve })
  t.after(() => socket.destroy())
  return new Promise(resolve => {
    socket.once('secureConnect', () => resolve(true))
    socket.once('error', () => resolve(false))
  })
}

test('a relay takes fast groups of key exchange alone, also after a reload', async t => {
  const tree = await startTree(t, { relays: [{ id: 'root', under: 'root', nodes: ['n1'] }] })
  const relay = tree.relay('root')
  const taken = async () => {
    const fields = []
    for (const bits of [2048, 3072, 4096, 6144, 8192]) fields.push(await isTaken(t, relay.url, `ffdhe${bits}`))
    assert.deepEqual(
      fields,
      fields.map(() => false)
    )
    for (const curve of ['X25519', 'P-256', 'P-384']) assert.equal(await isTaken(t, relay.url, curve), true, curve)
  }
  await taken()
  assert.equal((await ask(relay, '/system/reload', { method: 'POST' })).status, 200)
  await taken()
  await assertServes(tree, relay, 'n1', 'n1')
})

test('a relay offers fast groups alone, for its link and where it connects to a relay below', async t => {
  const relays = [
    { id: 'root', under: 'root', nodes: [] },
    { id: 'relay-a', under: 'root', nodes: [], byLink: true },
    { id: 'relay-b', under: 'relay-a', nodes: ['n1'] }
  ]
  const tree = await startTree(t, { relays, absent: ['root', 'relay-b'] })
  const portOf = (id: string) => Number(new URL(tree.relay(id).url).port)
  const above = await openHelloReader(t, portOf('root'))
  const below = await openHelloReader(t, portOf('relay-b'))
  assertFast(await above.groups())
  await ask(tree.relay('relay-a'), '/rudder/relay-api/remote-run/nodes/n1', { method: 'POST' })
  assertFast(await below.groups())
})

test('commands offer fast groups alone, and so does a client for its link', async t => {
  const folder = await temporaryFolder(t)
  const { port, groups } = await openHelloReader(t)
  const server = `https://127.0.0.1:${port}`
  await treeline(t, ['nodes', 'list', '--server', server], NO_PROXY)
  assertFast(await groups())

  const token = formatJoinToken({ id: 'a'.repeat(12), secret: Buffer.alloc(32), caHash: Buffer.alloc(32) })
  await treeline(t, ['join', server, '--token', token, '--id', 'n1', '--dir', `${folder}/n1`], NO_PROXY)
  assertFast(await groups())

  const throughProxy = { ...NO_PROXY, HTTPS_PROXY: server }
  await treeline(t, ['nodes', 'list', '--server', 'https://relay.example'], throughProxy)
  assertFast(await groups())

  const keys = ['--client-key', 'git', '--token', 'secret', '--health-listen', '127.0.0.1:0']
  void treeline(t, ['client', ...keys, '--server-url', server, '--base-url', 'http://127.0.0.1:1'], NO_PROXY)
  assertFast(await groups())
})
