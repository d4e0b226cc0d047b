import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { ConnectionBudget } from '../../src/relay/listening/connection-budget.js'
import { shareConnections } from '../../src/relay/listening/connection-slots.js'
import { serveUpgrades, type Upgrades } from '../../src/relay/listening/upgrades.js'
import type { ProvenNeighbour } from '../../src/tree/known-certificates.js'
import { eventually } from '../support/eventually.js'
import { head } from '../support/network/raw-client.js'

const MAX = 10
const KNOWN = '127.0.0.99'
const NODE = '127.0.0.100'
const RELAY = '127.0.0.101'
const NEIGHBOURS: Readonly<Record<string, ProvenNeighbour>> = {
  [NODE]: { kind: 'node', id: 'node-h' },
  [RELAY]: { kind: 'relay', id: 'relay-h' }
}
/** More than the buffers of two sockets take. */
const LONG = Buffer.alloc(32 * 1024 * 1024)

interface Shared {
  readonly server: Server
  /** Answers to requests for `/lasting`, which do not come. */
  readonly lasting: ServerResponse[]
  readonly upgraded: Socket[]
  /** Makes links of those that have been upgraded. */
  readonly welcome: () => void
}

async function openShared(t: TestContext, stalledMs = 3_600_000, slowBodyMs = 3_600_000): Promise<Shared> {
  const lasting: ServerResponse[] = []
  const upgraded: Socket[] = []
  const welcomes: (() => void)[] = []
  const server = createServer((request, response) => {
    if (request.url === '/lasting') lasting.push(response)
    else if (request.url === '/long') response.end(LONG)
    else response.end('served')
  })
  const isKnownAddress = (address: string) => address === KNOWN
  const neighbourOf = ({ remoteAddress = '' }: Socket) => NEIGHBOURS[remoteAddress]
  const part = new ConnectionBudget({ total: MAX, listeners: 1, max: MAX }).part()
  const options = { part, isKnownAddress, neighbourOf, stalledMs, slowBodyMs }
  const exempt = shareConnections(server, server, options)
  server.on('connection', socket => server.emit('secureConnection', socket)) // as after a handshake
  const upgrades: Upgrades = {
    takes: ({ headers }) => headers.upgrade === 'websocket',
    upgrade: (_request, socket, _head, onWelcome) => {
      upgraded.push(socket as Socket)
      welcomes.push(onWelcome)
    }
  }
  serveUpgrades(server, 'connection', upgrades, exempt)
  server.listen({ host: '127.0.0.1', port: 0 })
  await once(server, 'listening')
  t.after(() => {
    server.close()
    server.closeAllConnections()
    for (const socket of upgraded) socket.destroy()
  })
  const welcome = () => {
    for (const onWelcome of welcomes) onWelcome()
  }
  return { server, lasting, upgraded, welcome }
}

/** Resolves once the server has it. */
async function connectFrom(t: TestContext, { server }: Shared, localAddress: string): Promise<Socket> {
  const { port } = server.address() as AddressInfo
  const came = once(server, 'connection')
  const socket = connect({ host: '127.0.0.1', port, localAddress })
  socket.on('error', () => undefined)
  t.after(() => socket.destroy())
  await Promise.all([once(socket, 'connect'), came])
  return socket.resume()
}

async function several(t: TestContext, shared: Shared, localAddress: string, count: number): Promise<Socket[]> {
  const sockets: Socket[] = []
  while (sockets.length < count) sockets.push(await connectFrom(t, shared, localAddress))
  return sockets
}

const request = (path: string, ...more: string[]) => head(`GET ${path} HTTP/1.1`, 'Host: localhost', ...more)

/** Whether a caller gets an answer, or is closed. */
async function isServed(socket: Socket): Promise<boolean> {
  socket.write(request('/'))
  return Promise.race([once(socket, 'data').then(() => true), once(socket, 'close').then(() => false)])
}

/** Which of them the server has closed, once it is one. */
async function closedOf(sockets: readonly Socket[]): Promise<number[]> {
  const closed = () => sockets.flatMap((socket, index) => (socket.closed ? [index] : []))
  await eventually('one to be closed', () => closed().length > 0)
  return closed()
}

test('of too many connections the oldest unused one of the largest source makes room for a smaller one', async t => {
  const shared = await openShared(t)
  const few = await several(t, shared, '127.0.0.2', 2)
  const crowd = await several(t, shared, '127.0.0.3', MAX - 2)
  crowd[0]?.write(request('/lasting'))
  crowd[1]?.write(request('/', 'Connection: Upgrade', 'Upgrade: websocket'))
  await eventually('both to be there', () => shared.lasting.length + shared.upgraded.length === 2)
  shared.welcome()
  assert.ok(await isServed(crowd[2] as Socket), 'it is unused again')
  assert.ok(await isServed(await connectFrom(t, shared, '127.0.0.4')))
  assert.deepEqual(await closedOf(crowd), [2])
  assert.equal(await isServed(await connectFrom(t, shared, '127.0.0.3')), false, 'it has the most itself')
  for (const socket of few) assert.ok(await isServed(socket))
  assert.deepEqual(await closedOf(crowd), [2])
})

test('the addresses of a network of 64 bits are one source', async t => {
  const shared = await openShared(t)
  const few = await several(t, shared, '127.0.0.2', 2)
  const crowd: Socket[] = []
  for (let index = 1; index < MAX; index += 1) {
    shared.server.prependOnceListener('connection', socket => {
      // this machine has one IPv6 address of its own
      Object.defineProperty(socket, 'remoteAddress', { value: `2001:db8::${index}` })
    })
    crowd.push(await connectFrom(t, shared, '127.0.0.3'))
  }
  await eventually('the last one to be closed', () => crowd.at(-1)?.closed)
  assert.ok(await isServed(await connectFrom(t, shared, '127.0.0.4')))
  assert.deepEqual(await closedOf(crowd), [0, MAX - 2])
  for (const socket of few) assert.ok(await isServed(socket))
})

test('an offer of a protocol that is not spoken makes no link: such a connection makes room', async t => {
  const shared = await openShared(t)
  const crowd = await several(t, shared, '127.0.0.3', MAX)
  for (const socket of crowd) {
    socket.write(request('/', 'Connection: Upgrade', 'Upgrade: h2c'))
    await once(socket, 'data')
  }
  assert.ok(await isServed(await connectFrom(t, shared, '127.0.0.4')))
  assert.deepEqual(await closedOf(crowd), [0])
})

test('an offer of a link makes room like any unused connection until the link is welcome', async t => {
  const shared = await openShared(t)
  const crowd = await several(t, shared, '127.0.0.3', MAX)
  for (const socket of crowd) socket.write(request('/', 'Connection: Upgrade', 'Upgrade: websocket'))
  await eventually('all to be there', () => shared.upgraded.length === MAX)
  assert.ok(await isServed(await connectFrom(t, shared, '127.0.0.4')))
  assert.equal((await closedOf(crowd)).length, 1)
  shared.welcome()
  assert.ok(await isServed(await connectFrom(t, shared, '127.0.0.5')), 'from a stranger')
  assert.equal((await closedOf(crowd)).length, 1)
})

test('callers that are known make no room, and get it from strangers; the last stranger cannot get it from them', async t => {
  const shared = await openShared(t)
  const known = await several(t, shared, KNOWN, MAX - 1)
  const stranger = await several(t, shared, '127.0.0.3', 1)
  known.push(await connectFrom(t, shared, KNOWN))
  assert.deepEqual(await closedOf(stranger), [0])
  assert.equal(await isServed(await connectFrom(t, shared, '127.0.0.3')), false)
  assert.equal(await isServed(await connectFrom(t, shared, KNOWN)), false)
  for (const socket of known) assert.ok(await isServed(socket))
})

test('whoever takes nothing of an answer makes room, whoever waits for one does not', async t => {
  const shared = await openShared(t, 0)
  const crowd = await several(t, shared, '127.0.0.3', MAX)
  for (const [index, socket] of crowd.entries()) {
    if (index === 1) socket.pause()
    socket.write(request(index === 1 ? '/long' : '/lasting'))
  }
  await eventually('all to be asked', () => shared.lasting.length === MAX - 1)
  await eventually('the others to be served', async () => isServed(await connectFrom(t, shared, '127.0.0.4')))
  assert.equal(crowd.filter(socket => socket.closed).length, 0, 'it has not read so far')
  crowd[1]?.resume()
  assert.deepEqual(await closedOf(crowd), [1])
})

for (const protocol of ['websocket', 'h2c']) {
  test(`an offer of ${protocol} behind an answer that nobody takes saves no connection from making room`, async t => {
    const shared = await openShared(t, 0)
    const crowd = await several(t, shared, '127.0.0.3', MAX)
    const offer = request('/', 'Connection: Upgrade', `Upgrade: ${protocol}`)
    for (const [index, socket] of crowd.entries()) {
      if (index === 1) socket.pause()
      socket.write(index === 1 ? `${request('/long')}${offer}` : request('/lasting'))
    }
    await eventually('all to be asked', () => shared.lasting.length === MAX - 1)
    await eventually('the others to be served', async () => isServed(await connectFrom(t, shared, '127.0.0.4')))
    crowd[1]?.resume()
    assert.deepEqual(await closedOf(crowd), [1])
  })
}

test('whoever is slow to send the body of a request makes room when no connection is unused', async t => {
  const shared = await openShared(t, 3_600_000, 0)
  const crowd = await several(t, shared, '127.0.0.3', MAX)
  const form = head('POST /lasting HTTP/1.1', 'Host: localhost', 'Content-Length: 9')
  crowd[0]?.write(request('/lasting'))
  crowd[1]?.write(`${form}whole one`)
  for (const socket of crowd.slice(2, -1)) socket.write(`${form}part`)
  await eventually('all but one to be asked', () => shared.lasting.length === MAX - 1)
  const others = [await connectFrom(t, shared, '127.0.0.4')]
  assert.deepEqual(await closedOf(crowd), [MAX - 1], 'the unused one is first')
  others.push(await connectFrom(t, shared, '127.0.0.5'))
  await eventually('a slow one to be closed', () => crowd.filter(socket => socket.closed).length === 2)
  assert.equal(crowd[0]?.closed || crowd[1]?.closed, false, 'their requests are whole')
  for (const socket of others) assert.ok(await isServed(socket))
})

test('a body that has not been slow yet makes no room', async t => {
  const shared = await openShared(t)
  const crowd = await several(t, shared, '127.0.0.3', MAX)
  for (const socket of crowd) {
    socket.write(`${head('POST /lasting HTTP/1.1', 'Host: localhost', 'Content-Length: 9')}part`)
  }
  await eventually('all to be asked', () => shared.lasting.length === MAX)
  assert.equal(await isServed(await connectFrom(t, shared, '127.0.0.4')), false)
})

test('a node, then a relay, with more than its part makes room for anyone, and keeps its part', async t => {
  const shared = await openShared(t)
  const node = await several(t, shared, NODE, 5)
  const relay = await several(t, shared, RELAY, MAX - 5)
  const closed = () => [node, relay].map(sockets => sockets.filter(socket => socket.closed).length)
  const others: Socket[] = []
  for (let address = 2; address < 9; address += 1) {
    others.push(await connectFrom(t, shared, `127.0.0.${address}`))
    const nodes = Math.min(others.length, 4)
    await eventually('one to have made room', () => closed().join() === [nodes, others.length - nodes].join())
  }
  assert.equal(await isServed(await connectFrom(t, shared, '127.0.0.9')), true, 'from a stranger')
  await eventually('one of them to be closed', () => others.filter(socket => socket.closed).length === 1)
  assert.deepEqual(closed(), [4, 3])
  for (const socket of [...node.slice(4), ...relay.slice(3)]) assert.ok(await isServed(socket))
})

test('where none is unused, a body that a node is slow to send makes room first, and one of a relay last', async t => {
  const shared = await openShared(t, 3_600_000, 0)
  const form = `${head('POST /lasting HTTP/1.1', 'Host: localhost', 'Content-Length: 9')}part`
  const asking = async (localAddress: string, count: number) => {
    const sockets = await several(t, shared, localAddress, count)
    const before = shared.lasting.length
    for (const socket of sockets) socket.write(form)
    await eventually('all to be asked', () => shared.lasting.length === before + count)
    return sockets
  }
  const relay = await asking(RELAY, 5)
  const node = await asking(NODE, 3)
  const strangers = await asking('127.0.0.3', 2)
  const closed = () => [node, strangers, relay].map(sockets => sockets.filter(socket => socket.closed).length)
  for (const [address, expected] of [
    ['127.0.0.4', [1, 0, 0]],
    ['127.0.0.5', [2, 0, 0]],
    ['127.0.0.6', [2, 1, 0]]
  ] as const) {
    strangers.push(...(await asking(address, 1)))
    await eventually(`room for ${address}`, () => closed().join() === expected.join())
  }
})
