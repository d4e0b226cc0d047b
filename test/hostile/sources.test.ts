import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { TreeRelay } from '../../demo/relay-tree.js'
import { MAX_HANDSHAKES } from '../../src/links/upper/pending-handshakes.js'
import { head } from '../support/raw-client.js'
import { startTree } from '../support/relay-tree.js'

const PROXY = '127.0.0.9'
/** Of a source that is not the largest. */
const FEW = 10
const KEY = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='

/** Asks for a link by a trusted proxy, and says nothing more. @returns its connection and the status of the answer */
async function askForLink(t: TestContext, relay: TreeRelay, caller: string, more = KEY): Promise<[Socket, string]> {
  const socket = connect({ host: '127.0.0.1', port: Number(new URL(relay.localUrl).port), localAddress: PROXY })
  socket.on('error', () => undefined)
  t.after(() => socket.destroy())
  const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', more]
  socket.write(head('GET /v1/relay/register HTTP/1.1', 'Host: localhost', `X-Forwarded-For: ${caller}`, ...upgrade))
  const [answer] = (await once(socket, 'data')) as [Buffer]
  return [socket, answer.toString().slice('HTTP/1.1 '.length, 'HTTP/1.1 101'.length)]
}

test('links are asked for by the hundred through one proxy: who asks is told apart, by networks of 64 bits', async t => {
  const tree = await startTree(t, {
    relays: [{ id: 'root', under: 'root', nodes: ['n1'] }],
    settings: { general: [`trusted_proxies = ["${PROXY}"]`], links: ['accept = true'] }
  })
  const relay = tree.relay('root')
  const askAll = (count: number, callerOf: (index: number) => string, more?: string) =>
    Promise.all(Array.from({ length: count }, (_, index) => askForLink(t, relay, callerOf(index), more)))
  const few = await askAll(FEW, () => '10.0.0.1')
  const crowd = await askAll(MAX_HANDSHAKES - FEW, index => `2001:db8::${(index + 1).toString(16)}`)
  const isOpen = ([socket]: readonly [Socket, string]) => !socket.readableEnded && !socket.destroyed
  assert.deepEqual(new Set([...few, ...crowd].map(([, status]) => status)), new Set(['101']))

  const torn = await askAll(FEW, index => `10.0.1.${index}`, 'X: y')
  assert.deepEqual(new Set(torn.map(([, status]) => status)), new Set(['400']))
  assert.equal(crowd.filter(isOpen).length, crowd.length, 'what is no WebSocket takes nobody a place')

  const late = await askAll(FEW, index => `10.0.2.${index}`)
  assert.deepEqual(new Set(late.map(([, status]) => status)), new Set(['101']))
  assert.equal(few.filter(isOpen).length, FEW)
})
