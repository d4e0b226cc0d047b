import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { createServer as createTlsServer } from 'node:tls'
import { makeAgentCertificate } from '../../demo/pki.js'
import { formatJoinToken } from '../../src/keys/tokens/join-token.js'
import { temporaryFolder, treeline } from '../support/machine/treeline-command.js'
import { assertServes } from '../support/relays/relay-health.js'
import { startTree } from '../support/relays/relay-tree.js'

const SOME = 'HTTP/1.1 102 Processing\r\n\r\n'.repeat(1_000)
const TOO_MANY = /more than 32 informational answers \(102\)/

/** Answers whoever asks with informational answers, without end. */
function flood(socket: Socket): void {
  const say = () => void socket.write(SOME, error => error == null && setImmediate(say))
  socket.on('error', () => undefined)
  socket.once('data', say)
}

async function listen(t: TestContext, server: Server, atPort = 0): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', socket => sockets.add(socket))
  server.listen(atPort, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return (server.address() as AddressInfo).port
}

test('a relay whose policy server answers its link with informational answers alone says so, and serves', async t => {
  const relays = [
    { id: 'root', under: 'root', nodes: [] },
    { id: 'relay-a', under: 'root', nodes: ['n1'], byLink: true }
  ]
  const tree = await startTree(t, { relays, absent: ['root', 'relay-a'] })
  const { certificatePem: cert, privateKeyPem: key } = tree.member('root').certificate
  await listen(t, createTlsServer({ cert, key }, flood), Number(new URL(tree.relay('root').url).port))
  const relay = await tree.restart('relay-a')
  assert.match(await relay.logged(text => text.includes('cannot open link')), TOO_MANY)
  await assertServes(tree, tree.relay('relay-a'), 'n1', 'n1')
})

test('commands end at a relay that gives informational answers alone', async t => {
  const folder = await temporaryFolder(t)
  const { certificatePem: cert, privateKeyPem: key } = await makeAgentCertificate({ nodeId: 'r', hostname: 'r' })
  const plain = `127.0.0.1:${await listen(t, createServer(flood))}`
  const tls = `https://127.0.0.1:${await listen(t, createTlsServer({ cert, key }, flood))}`
  const token = formatJoinToken({ id: 'a'.repeat(12), secret: Buffer.alloc(32), caHash: Buffer.alloc(32) })
  const direct = { HTTPS_PROXY: '', https_proxy: '', HTTP_PROXY: '', http_proxy: '' }
  for (const args of [
    ['nodes', 'list', '--server', `http://${plain}`],
    ['join', tls, '--token', token, '--id', 'n1', '--dir', `${folder}/n1`]
  ]) {
    const { code, stderr } = await treeline(t, args, direct)
    assert.equal(code, 1)
    assert.match(stderr, TOO_MANY, args.join(' '))
  }
})
