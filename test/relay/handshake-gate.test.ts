import assert from 'node:assert/strict'
import { createHash, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type ServerOptions } from 'node:https'
import { connect, type Server, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { makeAgentCertificate } from '../../demo/pki.js'
import { createHandshakeGate, type HandshakeGateOptions, MAX_SILENT } from '../../src/relay/handshake-gate.js'
import { judgeCertificate, type PresentedCertificate } from '../../src/relay/presented-certificate.js'
import { eventually } from '../support/eventually.js'
import { temporaryFolder } from '../support/neighbours.js'
import { makeChain } from '../support/openssl-certificate.js'

const certificate = await makeAgentCertificate({ nodeId: 'root', hostname: 'localhost' })
/** A turn that does not end within a test. */
const FOR_EVER_MS = 3_600_000

async function openGate(t: TestContext, options: HandshakeGateOptions, more: ServerOptions = {}): Promise<Server> {
  const own = { cert: certificate.certificatePem, key: certificate.privateKeyPem }
  const tls = createServer({ ...own, handshakeTimeout: FOR_EVER_MS, ...more }, (_request, response) =>
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

function startTls(t: TestContext, gate: Server, localAddress: string, own: { cert?: string; key?: string } = {}) {
  // `localAddress` is passed on to `net.connect`
  const options = { host: '127.0.0.1', port: portOf(gate), localAddress, rejectUnauthorized: false, ...own }
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

test('a caller that shuts down its sending side amid the handshake is done, after it it is answered', async t => {
  const gate = await openGate(t, { turnMs: FOR_EVER_MS })
  const hello = await clientHello(t)
  const socket = await connectFrom(t, gate, '127.0.0.1')
  socket.resume().end(hello)
  await once(socket, 'close')

  const whole = startTls(t, gate, '127.0.0.1')
  whole.end('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
  const [answer] = (await once(whole, 'data')) as [Buffer]
  assert.match(answer.toString(), /^HTTP\/1.1 200 /)
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

test('after a handshake that failed or was costly its source rests, others do not; a neighbour never does', async t => {
  const judgements = new Map<string, PresentedCertificate[]>([
    ['127.0.0.4', ['costly']],
    ['127.0.0.5', ['known', 'costly']]
  ])
  const judge = ({ remoteAddress = '' }: Socket) => judgements.get(remoteAddress)?.shift() ?? 'usual'
  const gate = await openGate(t, { judge, restMs: () => FOR_EVER_MS })
  /** Resolves once the server has judged it too, which answers then. */
  const shaken = async (address: string) => {
    const socket = startTls(t, gate, address)
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
    await once(socket, 'data')
  }
  const isServed = async (address: string) => {
    const socket = startTls(t, gate, address)
    let isSecure = false
    socket.once('secureConnect', () => {
      isSecure = true
    })
    await once(socket, 'connect')
    for (let others = 0; others < 3; others += 1) await shaken('127.0.0.9') // which came later
    return isSecure
  }
  await shaken('127.0.0.2')
  assert.equal(await isServed('127.0.0.2'), true, 'a usual one changes nothing')

  const failed = await connectFrom(t, gate, '127.0.0.3')
  failed.resume().write('GET / HTTP/1.1\r\n\r\n')
  await once(failed, 'close')
  assert.equal(await isServed('127.0.0.3'), false)

  await shaken('127.0.0.4')
  assert.equal(await isServed('127.0.0.4'), false)

  await shaken('127.0.0.5')
  await shaken('127.0.0.5')
  assert.equal(await isServed('127.0.0.5'), true)
})

test('a long chain of certificates is costly, a short one is not, and that of a neighbour is known', async t => {
  const judged: PresentedCertificate[] = []
  let known = ''
  const nodeOf = (fingerprint: string) => (fingerprint === known ? 'node-1' : undefined)
  const certificates = { nodeOf, isPolicyServer: () => false }
  const judge = (socket: TLSSocket) => {
    const found = judgeCertificate(socket, certificates)
    judged.push(found)
    return found
  }
  const gate = await openGate(t, { judge, restMs: () => FOR_EVER_MS }, { requestCert: true, rejectUnauthorized: false })
  const { cert, key } = await makeChain(await temporaryFolder(t), 12)
  const leaf = new X509Certificate(cert)
  const [own, issuer] = cert.split(/(?=-----BEGIN)/)
  for (const [index, chain] of [`${own}${issuer}`, cert, cert].entries()) {
    if (index === 2) known = createHash('sha256').update(leaf.raw).digest('hex')
    const socket = startTls(t, gate, `127.0.0.${10 + index}`, { cert: chain, key })
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
    await once(socket, 'data')
  }
  assert.deepEqual(judged, ['usual', 'costly', 'known'])
})
