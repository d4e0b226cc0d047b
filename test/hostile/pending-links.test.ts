import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { connect, type TLSSocket } from 'node:tls'
import type { TreeRelay } from '../../demo/relay-tree.js'
import { REGISTER_PATH } from '../../src/links/wire/protocol.js'
import { openHostileLink } from '../support/hostile/hostile-link.js'
import { head } from '../support/network/raw-client.js'
import { startTree } from '../support/relays/relay-tree.js'

const MAX_CONNECTIONS = 32

/** Asks from an address of its own, by TLS. @returns the first bytes of the answer; empty where it is closed */
async function askFrom(t: TestContext, relay: TreeRelay, localAddress: string, text: string): Promise<string> {
  const { hostname: host, port } = new URL(relay.url)
  // `localAddress` is passed on to `net.connect`
  const options = { host, port: Number(port), localAddress, rejectUnauthorized: false }
  const socket: TLSSocket = connect(options)
  t.after(() => socket.destroy())
  socket.on('error', () => undefined)
  socket.write(text)
  return Promise.race([once(socket, 'data').then(String), once(socket, 'close').then(() => '')])
}

test('offers of links that nobody follows up keep nobody out, and no link that stands makes room for others', async t => {
  const settings = { general: [`max_connections = ${MAX_CONNECTIONS}`] }
  const tree = await startTree(t, { relays: [{ id: 'root', under: 'root', nodes: ['n1', 'n2'] }], settings })
  const root = tree.relay('root')
  const link = await openHostileLink(t, root, tree.member('n1'))
  const offer = head(
    `GET ${REGISTER_PATH} HTTP/1.1`,
    'Host: localhost',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='
  )
  const answers: string[] = []
  for (let count = 0; count < MAX_CONNECTIONS; count += 1) answers.push(await askFrom(t, root, '127.0.0.50', offer))
  const taken = answers.filter(answer => answer.startsWith('HTTP/1.1 101'))
  assert.equal(taken.length, MAX_CONNECTIONS / 4)
  for (const answer of answers) if (!taken.includes(answer)) assert.match(answer, /^HTTP\/1.1 503 /)
  // Each keeps its connection, as more than there is room for.
  for (let last = 60; last < 60 + MAX_CONNECTIONS; last += 1) {
    const answer = await askFrom(t, root, `127.0.0.${last}`, 'GET /uuid HTTP/1.1\r\nHost: localhost\r\n\r\n')
    assert.match(answer, /^HTTP\/1.1 200 /)
  }
  assert.equal(link.socket.readyState, link.socket.OPEN)
})
