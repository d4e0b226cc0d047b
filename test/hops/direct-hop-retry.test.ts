import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { before, type TestContext, test } from 'node:test'
import { type CertificateMaterial, makeAgentCertificate } from '../../demo/pki.js'
import { startHttpsPeer } from '../support/network/tls-peer.js'
import { startNeighbours } from '../support/parts/neighbours.js'

let relay: CertificateMaterial

before(async () => {
  relay = await makeAgentCertificate({ nodeId: 'relay1', hostname: 'relay1.example.com' })
})

/** A way to `port` that drops the first `dropCount` connections as soon as the client has spoken. */
async function startFlakyWay(t: TestContext, port: number, dropCount: number) {
  const sockets = new Set<Socket>()
  let count = 0
  const server = createServer(socket => {
    count += 1
    sockets.add(socket)
    socket.on('error', () => undefined)
    if (count <= dropCount) {
      socket.once('data', () => socket.resetAndDestroy())
      return
    }
    const onward = connect(port, '127.0.0.1')
    sockets.add(onward)
    onward.on('error', () => socket.destroy())
    socket.pipe(onward).pipe(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  return { port: address.port, count: () => count }
}

function put(bodies: Readable[]) {
  return {
    method: 'PUT',
    path: 'x',
    headers: { 'content-length': '4' },
    body: () => {
      const body = Readable.from([Buffer.from('once')])
      bodies.push(body)
      return body
    }
  } as const
}

test('a connection that is lost before anything was sent is opened again', async t => {
  const bodies: Readable[] = []
  const peer = await startHttpsPeer(t, relay, async (request, response) => response.end(await text(request)))
  const way = await startFlakyWay(t, peer.port, 1)
  const { neighbours } = await startNeighbours(t, { port: way.port, pins: [relay] })
  const outcome = await neighbours.down('relay1').request(put(bodies))
  assert.ok(outcome.kind === 'answered', JSON.stringify(outcome))
  assert.equal(await text(outcome.body), 'once')
  assert.equal(way.count(), 2)
  assert.deepEqual(
    bodies.map(body => body.destroyed),
    [true, true]
  )
})

test('it is opened again once, and no more', async t => {
  const bodies: Readable[] = []
  const peer = await startHttpsPeer(t, relay, (_, response) => response.end())
  const way = await startFlakyWay(t, peer.port, 100)
  const { neighbours } = await startNeighbours(t, { port: way.port, pins: [relay] })
  const outcome = await neighbours.down('relay1').request(put(bodies))
  assert.ok(outcome.kind === 'unreachable' && !outcome.sent)
  assert.match(outcome.reason, /closed the connection/)
  assert.equal(way.count(), 2)
  assert.ok(bodies.every(body => body.destroyed))
})

test('a request that finds no connection in time is given up, and its body with it', async t => {
  const bodies: Readable[] = []
  const silent = createServer(socket => socket.on('error', () => undefined)).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  t.after(() => silent.close())
  const address = silent.address()
  assert.ok(address !== null && typeof address === 'object')
  const { neighbours } = await startNeighbours(t, { port: address.port, pins: [relay], connectTimeoutMs: 20 })
  const outcome = await neighbours.down('relay1').request(put(bodies))
  assert.ok(outcome.kind === 'unreachable' && !outcome.sent)
  assert.ok(bodies.every(body => body.destroyed))
})
