import assert from 'node:assert/strict'
import { once } from 'node:events'
import {
  type AddressInfo,
  connect as connectPlain,
  createServer as createPlainServer,
  type Server,
  type Socket
} from 'node:net'
import { type TestContext, test } from 'node:test'
import { connect as connectTls, createServer as createTlsServer } from 'node:tls'
import { makeAgentCertificate } from '../../demo/pki.js'
import { DisconnectThrottle } from '../../src/links/upper/accepting/disconnect-throttle.js'
import { eventually } from '../support/eventually.js'

const COUNT = 200

interface Pairs {
  readonly near: readonly Socket[]
  readonly far: readonly Socket[]
}

async function pairsOver(
  t: TestContext,
  server: Server,
  event: string,
  connect: (port: number) => Socket
): Promise<Pairs> {
  const near: Socket[] = []
  server.on(event, (socket: Socket) => {
    socket.on('error', () => undefined)
    socket.resume()
    near.push(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const far = Array.from({ length: COUNT }, () => connect(port).on('error', () => undefined))
  t.after(() => {
    for (const socket of [...far, ...near]) socket.destroy()
    server.close()
  })
  await eventually('all connections', () => (near.length === COUNT ? true : undefined))
  return { near, far }
}

async function plainPairs(t: TestContext): Promise<Pairs> {
  return pairsOver(t, createPlainServer({ allowHalfOpen: true }), 'connection', port => connectPlain(port, '127.0.0.1'))
}

async function tlsPairs(t: TestContext): Promise<Pairs> {
  const { certificatePem: cert, privateKeyPem: key } = await makeAgentCertificate({
    nodeId: 'a',
    hostname: '127.0.0.1'
  })
  const connect = (port: number) => connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
  return pairsOver(t, createTlsServer({ cert, key, allowHalfOpen: true }), 'secureConnection', connect)
}

/** How many of `sockets` end in each turn of the event loop, until none is left. */
async function endsPerTurn(sockets: readonly Socket[]): Promise<number[]> {
  const turns: number[] = []
  let ends = 0
  let left = sockets.length
  for (const socket of sockets) {
    socket.once('close', () => {
      ends += 1
      left -= 1
    })
    socket.once('end', () => socket.destroy())
  }
  while (left > 0) {
    await new Promise(resolve => setImmediate(resolve))
    if (ends > 0) turns.push(ends)
    ends = 0
  }
  return turns
}

for (const [name, makePairs] of [
  ['TCP', plainPairs],
  ['TLS', tlsPairs]
] as const) {
  test(`connections over ${name} that end at once end in many turns, and the others go on`, async t => {
    const { near, far } = await makePairs(t)
    const throttle = new DisconnectThrottle()
    for (const socket of near) throttle.watch(socket)
    const [last] = far.slice(-1)
    const stays = near.find(socket => socket.remotePort === last?.localPort)
    assert.ok(last !== undefined && stays !== undefined)
    const others = endsPerTurn(near.filter(socket => socket !== stays))
    for (const socket of far.slice(0, -1)) socket.destroy()
    last.write('still there')
    const [[heard], turns] = await Promise.all([once(stays, 'data'), others])
    assert.equal(String(heard), 'still there')
    assert.ok(Math.max(...turns) <= 32, `ended in each turn: ${turns.join(', ')}`)
  })
}

test('a connection that nobody reads is left so', async t => {
  const { near, far } = await plainPairs(t)
  const throttle = new DisconnectThrottle()
  for (const socket of near) throttle.watch(socket)
  const [first] = near
  assert.ok(first !== undefined)
  const reading = Reflect.get(first, '_handle') as { reading: boolean; readStop(): void }
  reading.reading = false
  reading.readStop()
  const turns = endsPerTurn(near.slice(1))
  for (const socket of far) socket.destroy()
  await turns
  assert.equal(reading.reading, false)
  assert.equal(first.readableEnded, false)
})
