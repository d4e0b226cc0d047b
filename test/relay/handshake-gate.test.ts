import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:https'
import { connect, type Server, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { makeAgentCertificate } from '../../demo/pki.js'
import { createHandshakeGate, type HandshakeGateOptions, MAX_SILENT } from '../../src/relay/handshake-gate.js'
import { eventually } from '../support/eventually.js'

const certificate = await makeAgentCertificate({ nodeId: 'root', hostname: 'localhost' })
/** A turn that does not end within a test. */
const FOR_EVER_MS = 3_600_000

async function openGate(t: TestContext, options: HandshakeGateOptions): Promise<Server> {
  const tls = createServer({ cert: certificate.certificatePem, key: certificate.privateKeyPem }, (_request, response) =>
    response.end('served')
  )
  tls.on('tlsClientError', () => undefined)
  const gate = createHandshakeGate(tls, options)
  gate.listen({ host: '127.0.0.1', port: 0 })
  await once(gate, 'listening')
  t.after(() => {
    tls.closeAllConnections()
    gate.close()
  })
  return gate
}

function portOf(gate: Server): number {
  const address = gate.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

async function connectFrom(t: TestContext, gate: Server, localAddress: string): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port: portOf(gate), localAddress })
  socket.on('error', () => undefined)
  t.after(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

function startTls(t: TestContext, gate: Server, localAddress: string) {
  // `localAddress` is passed on to `net.connect`
  const options = { host: '127.0.0.1', port: portOf(gate), localAddress, rejectUnauthorized: false }
  const socket = connectTls(options)
  socket.on('error', () => undefined)
  t.after(() => socket.destroy())
  return socket
}

/** The first record of a handshake, as a client sends it. */
async function clientHello(t: TestContext): Promise<Buffer> {
  const { createServer: createTcpServer } = await import('node:net')
  const server = createTcpServer()
  server.listen({ host: '127.0.0.1', port: 0 })
  await once(server, 'listening')
  t.after(() => server.close())
  const client = startTls(t, server, '127.0.0.1')
  const [socket] = (await once(server, 'connection')) as [Socket]
  const [bytes] = (await once(socket, 'data')) as [Buffer]
  client.destroy()
  socket.destroy()
  return bytes
}

test('connections that say nothing, or not all of a ClientHello, take no handshake from others', async t => {
  const gate = await openGate(t, { turnMs: FOR_EVER_MS, helloLimitMs: FOR_EVER_MS })
  const hello = await clientHello(t)
  for (let index = 0; index < 40; index++) {
    const socket = await connectFrom(t, gate, '127.0.0.1')
    if (index % 2 === 0) socket.write(hello.subarray(0, hello.length - 1 - index))
  }
  await once(startTls(t, gate, '127.0.0.1'), 'secureConnect')
})

test('a ClientHello that comes in pieces is one', async t => {
  const gate = await openGate(t, { helloLimitMs: FOR_EVER_MS })
  const hello = await clientHello(t)
  const socket = await connectFrom(t, gate, '127.0.0.1')
  socket.setNoDelay(true)
  for (const byte of hello.subarray(0, 20)) {
    socket.write(Buffer.of(byte))
    await new Promise(resolve => setImmediate(resolve))
  }
  socket.write(hello.subarray(20))
  const [answer] = (await once(socket, 'data')) as [Buffer]
  assert.equal(answer[0], 22, 'a ServerHello')
})

test('sources take turns: a crowd of unfinished handshakes from one keeps another waiting for one place only', async t => {
  const gate = await openGate(t, { turnMs: FOR_EVER_MS, helloLimitMs: FOR_EVER_MS })
  const hello = await clientHello(t)
  const crowd: Socket[] = []
  const answered = new Set<Socket>()
  for (let index = 0; index < 60; index++) {
    const socket = await connectFrom(t, gate, '127.0.0.2')
    crowd.push(socket)
    socket.once('data', () => answered.add(socket))
    socket.write(hello)
  }
  await eventually('16 to be at it', () => answered.size === 16)
  const honest = startTls(t, gate, '127.0.0.3')
  await once(honest, 'connect')
  // one more of the crowd may go first: it waits longer; after it, it is the other's turn
  for (const socket of [...answered].slice(0, 2)) socket.destroy()
  await once(honest, 'secureConnect')
})

test('a connection without a ClientHello is closed in the end; of too many the oldest goes', async t => {
  const short = await openGate(t, { helloLimitMs: 20 })
  await once(await connectFrom(t, short, '127.0.0.1'), 'close')

  const gate = await openGate(t, { helloLimitMs: FOR_EVER_MS, graceMs: 0 })
  const oldest = await connectFrom(t, gate, '127.0.0.2')
  const other = await connectFrom(t, gate, '127.0.0.3')
  const closed = once(oldest, 'close')
  for (let index = 0; index < MAX_SILENT - 1; index++) await connectFrom(t, gate, '127.0.0.2')
  await closed
  assert.equal(other.destroyed, false)
})
