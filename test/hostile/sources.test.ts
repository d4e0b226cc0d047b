import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import type { TreeMember, TreeRelay } from '../../demo/relay-tree.js'
import { MAX_HANDSHAKES } from '../../src/links/upper/accepting/pending-handshakes.js'
import { eventually } from '../support/eventually.js'
import { head, statusesIn } from '../support/network/raw-client.js'
import { startTree } from '../support/relays/relay-tree.js'

const PROXY = '127.0.0.9'
/** Of a source that is not the largest. */
const FEW = 10
const KEY = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='

/**
 * Puts a file, and sends no more than the beginning of its metadata.
 * @param caller a member, by its certificate; an address: a stranger there, by a trusted proxy
 * @returns all that is answered
 */
async function putSlowly(t: TestContext, relay: TreeRelay, caller: string | TreeMember): Promise<() => string> {
  const isStranger = typeof caller === 'string'
  const socket = isStranger ? connectByProxy(relay) : connectAs(relay, caller)
  socket.on('error', () => undefined)
  t.after(() => socket.destroy())
  let text = ''
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  const put = 'PUT /rudder/relay-api/shared-files/n1/n1/f?ttl=1h HTTP/1.1'
  const headers = [
    'Content-Length: 5000',
    'Expect: 100-continue',
    ...(isStranger ? [`X-Forwarded-For: ${caller}`] : [])
  ]
  socket.write(head(put, 'Host: localhost', ...headers))
  await once(socket, 'data')
  socket.write('header=')
  return () => text
}

function connectByProxy(relay: TreeRelay): Socket {
  return connect({ host: '127.0.0.1', port: Number(new URL(relay.localUrl).port), localAddress: PROXY })
}

function connectAs(relay: TreeRelay, { certificate }: TreeMember): Socket {
  const identity = { cert: certificate.certificatePem, key: certificate.privateKeyPem, rejectUnauthorized: false }
  return connectTls({ host: '127.0.0.1', port: Number(new URL(relay.url).port), ...identity })
}

/** Asks for a link by a trusted proxy, and says nothing more. @returns its connection and the status of the answer */
async function askForLink(t: TestContext, relay: TreeRelay, caller: string, more = KEY): Promise<[Socket, string]> {
  const socket = connectByProxy(relay)
  socket.on('error', () => undefined)
  t.after(() => socket.destroy())
  const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', more]
  socket.write(head('GET /v1/relay/register HTTP/1.1', 'Host: localhost', `X-Forwarded-For: ${caller}`, ...upgrade))
  const [answer] = (await once(socket, 'data')) as [Buffer]
  return [socket, answer.toString().slice('HTTP/1.1 '.length, 'HTTP/1.1 101'.length)]
}

test('links are asked for by the hundred through one proxy: who asks is told apart, by networks of 64 bits', async t => {
  const tree = await startTree(t, {
    relays: [
      { id: 'root', under: 'root', nodes: ['n1', 'n2'] },
      { id: 'relay-a', under: 'root', nodes: ['n3'] }
    ],
    absent: ['relay-a'],
    settings: {
      general: [`trusted_proxies = ["${PROXY}"]`],
      links: ['accept = true'],
      limits: ['max_uploads = 8']
    }
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
  assert.equal(crowd.filter(isOpen).length, crowd.length, 'what is no WebSocket takes nobody a slot')

  const late = await askAll(FEW, index => `10.0.2.${index}`)
  assert.deepEqual(new Set(late.map(([, status]) => status)), new Set(['101']))
  assert.equal(few.filter(isOpen).length, FEW)

  await t.test('uploads without metadata: a source that has none gets a slot, whoever holds them all', async t => {
    const answers: (() => string)[] = []
    for (let source = 0; source < 12; source++) {
      for (let count = 0; count < 12; count++) answers.push(await putSlowly(t, relay, `10.0.3.${source}`))
    }
    const statuses = () => answers.map(answer => statusesIn(answer()).join())
    const late = await putSlowly(t, relay, '10.0.4.1')
    assert.deepEqual(statusesIn(late()), [100])
    const ofSlots = 'all but one of the 24 slots of strangers to be kept'
    await eventually(ofSlots, () => statuses().filter(each => each === '100').length === 23)
    const text = answers.find(answer => answer().startsWith('HTTP/1.1 100') && answer().includes('503 '))?.() ?? ''
    assert.match(text, /metadata had not come when another sender needed its slot; try again in a moment\n$/)

    const statusOf = async (member: string) => statusesIn((await putSlowly(t, relay, tree.member(member)))()).join()
    const ofNode = [await statusOf('n1'), await statusOf('n1')]
    assert.deepEqual(ofNode, ['100', '503'], 'an eighth of the slots that are kept for known neighbours')
    const ofRelay: string[] = []
    for (let count = 0; count < 4; count++) ofRelay.push(await statusOf('relay-a'))
    assert.deepEqual(
      ofRelay,
      ['100', '100', '100', '503'],
      'half of what is free, but for two that are for trusted callers'
    )
    assert.equal(await statusOf('n2'), '100')
    assert.equal(statuses().filter(each => each === '100').length, 23, 'no stranger had to go')
  })
})
