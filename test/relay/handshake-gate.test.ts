import assert from 'node:assert/strict'
import { createHash, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type ServerOptions } from 'node:https'
import { connect, type Server, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { makeAgentCertificate } from '../../demo/pki.js'
import { judgeFirstBytes, MAX_HELLO_BYTES } from '../../src/relay/listening/client-hello.js'
import {
  createHandshakeGate,
  type HandshakeGateOptions,
  MAX_SILENT,
  usualRestMs
} from '../../src/relay/listening/handshake-gate.js'
import { judgeCertificate, type PresentedCertificate } from '../../src/relay/listening/presented-certificate.js'
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

/** Resolves once the server has judged the handshake too, which answers then. */
async function isAnswered(socket: TLSSocket): Promise<void> {
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
  await once(socket, 'data')
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

test('a ClientHello is whole with all the bytes that it names, in however many records', async t => {
  const hello = (await clientHello(t)).subarray(5)
  const record = (content: Buffer) =>
    Buffer.concat([Buffer.of(22, 3, 1, content.length >> 8, content.length & 255), content])
  const records = Array.from({ length: Math.ceil(hello.length / 3) }, (_, at) =>
    record(hello.subarray(3 * at, 3 * at + 3))
  )
  const bytes = Buffer.concat(records)
  for (let end = 0; end < bytes.length; end += 1) assert.equal(judgeFirstBytes(bytes.subarray(0, end)), 'part')
  assert.equal(judgeFirstBytes(bytes), 'whole')
  assert.equal(judgeFirstBytes(Buffer.from('GET')), 'other')
  assert.equal(judgeFirstBytes(record(Buffer.of(2))), 'other', 'a ServerHello')
  assert.equal(judgeFirstBytes(record(Buffer.of(1, 1, 0, 0))), 'too-long', 'it says so')
  assert.equal(judgeFirstBytes(Buffer.alloc(MAX_HELLO_BYTES + 5, record(Buffer.alloc(0)))), 'too-long')
})

test('a record with the first byte of a ClientHello takes no handshake from others', async t => {
  const gate = await openGate(t, { turnMs: FOR_EVER_MS, helloLimitMs: FOR_EVER_MS })
  for (let index = 0; index < 40; index++) {
    const socket = await connectFrom(t, gate, `127.0.0.${100 + index}`)
    socket.write(Buffer.of(22, 3, 1, 0, 1, 1))
  }
  await once(startTls(t, gate, '127.0.0.1'), 'secureConnect')
})

/** One from each of 20 addresses; resolves when so many have been begun. */
async function fillGate(t: TestContext, gate: Server, count: number): Promise<void> {
  const hello = await clientHello(t)
  let answered = 0
  for (let index = 0; index < 20; index++) {
    const socket = await connectFrom(t, gate, `127.0.0.${100 + index}`)
    socket.once('data', () => {
      answered += 1
    })
    socket.write(hello)
  }
  await eventually(`${count} to have begun`, () => answered === count)
}

test('handshakes at once are limited; what takes longer than its turn keeps no other source out', async t => {
  const full = await openGate(t, { turnMs: FOR_EVER_MS })
  await fillGate(t, full, 16)
  const kept = startTls(t, full, '127.0.0.3')
  kept.once('secureConnect', () => assert.fail('more than 16'))
  await once(kept, 'connect')

  const gate = await openGate(t, { turnMs: 20 })
  await fillGate(t, gate, 20)
  await once(startTls(t, gate, '127.0.0.3'), 'secureConnect')
})

test('a source begins one handshake at a time until one has cost little, then a few; others take their turns', async t => {
  const gate = await openGate(t, { turnMs: 0, silentMs: FOR_EVER_MS, restMs: () => 0 })
  const hello = await clientHello(t)
  const answered: Socket[] = []
  const crowd = async (address: string, count: number) => {
    for (let index = 0; index < count; index++) {
      const socket = await connectFrom(t, gate, address)
      socket.once('data', () => answered.push(socket))
      socket.write(hello)
    }
  }
  const othersServed = async () => {
    for (let others = 0; others < 3; others += 1) await isAnswered(startTls(t, gate, '127.0.0.9'))
  }
  await crowd('127.0.0.2', 10)
  await othersServed()
  assert.equal(answered.length, 1)
  answered[0]?.destroy()
  await eventually('the next one', () => answered.length === 2)
  await othersServed()
  assert.equal(answered.length, 2)

  answered.length = 0
  await isAnswered(startTls(t, gate, '127.0.0.3'))
  await crowd('127.0.0.3', 20)
  await othersServed()
  assert.equal(answered.length, 16)
})

/** This machine has one IPv6 address of its own: the server is told of another one. */
function comesFrom(gate: Server, address: string): void {
  gate.prependOnceListener('connection', socket => {
    Object.defineProperty(socket, 'remoteAddress', { value: address })
  })
}

test('the addresses of a network of 64 bits are one source, those of another are not', async t => {
  const gate = await openGate(t, { turnMs: 0, silentMs: FOR_EVER_MS, restMs: () => 0 })
  const hello = await clientHello(t)
  const begun: string[] = []
  const beginFrom = async (address: string) => {
    comesFrom(gate, address)
    const socket = await connectFrom(t, gate, '127.0.0.1')
    socket.once('data', () => begun.push(address))
    socket.write(hello)
    return socket
  }
  const first = await beginFrom('2001:db8::1')
  await eventually('the first', () => begun.length === 1)
  await beginFrom('2001:db8::ffff:ffff:ffff:ffff')
  await beginFrom('2001:db8:0:1::1')
  await eventually('the other network', () => begun.length === 2)
  for (let others = 0; others < 3; others += 1) await isAnswered(startTls(t, gate, '127.0.0.9'))
  assert.deepEqual(begun, ['2001:db8::1', '2001:db8:0:1::1'])
  first.destroy()
  await eventually('the next of the first network', () => begun.length === 3)
})

test('a handshake that does not go on is given up when others of its source wait for it, and only then', async t => {
  const gate = await openGate(t, { patienceMs: 50, silentMs: FOR_EVER_MS, helloLimitMs: FOR_EVER_MS })
  const hello = await clientHello(t)
  const stuckFrom = async (address: string) => {
    const socket = await connectFrom(t, gate, address)
    socket.write(hello)
    await once(socket, 'data')
    return socket
  }
  const alone = await stuckFrom('127.0.0.3')
  const stuck = await stuckFrom('127.0.0.2')
  const closed = once(stuck, 'close')
  await Promise.all([closed, once(startTls(t, gate, '127.0.0.2'), 'secureConnect')])
  assert.equal(alone.closed || alone.readableEnded, false)
})

/** Begins handshakes, goes on with none of them, and begins another one for each that is closed. */
async function stallFrom(t: TestContext, gate: Server, address: string, count: number): Promise<void> {
  const hello = await clientHello(t)
  let isOver = false
  t.after(() => {
    isOver = true
  })
  const stall = async () => {
    const socket = await connectFrom(t, gate, address)
    socket.resume().write(hello)
    socket.once('close', () => {
      if (!isOver) void stall().catch(() => undefined) // the gate is closed
    })
  }
  for (let index = 0; index < count; index += 1) await stall()
}

test('silent handshakes do not lock out those that share their address, whatever came from it before', async t => {
  const judgements: PresentedCertificate[] = ['usual', 'costly']
  const judge = ({ remoteAddress }: Socket) => (remoteAddress === '127.0.0.3' && judgements.shift()) || 'usual'
  // None is given up: those that are silent do not count.
  const gate = await openGate(t, { judge, restMs: () => 0, silentMs: 1, patienceMs: FOR_EVER_MS })
  await isAnswered(startTls(t, gate, '127.0.0.3'))
  await isAnswered(startTls(t, gate, '127.0.0.3'))
  for (const address of ['127.0.0.2', '127.0.0.3']) {
    await stallFrom(t, gate, address, 15)
    await isAnswered(startTls(t, gate, address))
  }
})

test('silent handshakes that are given up change nothing for their source: it does not rest, nor begin anew', async t => {
  const gate = await openGate(t, { restMs: () => FOR_EVER_MS, silentMs: FOR_EVER_MS, patienceMs: 400 })
  await isAnswered(startTls(t, gate, '127.0.0.2'))
  await stallFrom(t, gate, '127.0.0.2', 40)
  await isAnswered(startTls(t, gate, '127.0.0.2'))
})

test('a source with a costly handshake is a usual one again after some that cost little', async t => {
  const judgements: PresentedCertificate[] = ['costly']
  const judge = () => judgements.shift() ?? 'usual'
  const never = { silentMs: FOR_EVER_MS, patienceMs: FOR_EVER_MS }
  const gate = await openGate(t, { judge, restMs: () => 0, ...never })
  for (let count = 0; count < 17; count += 1) await isAnswered(startTls(t, gate, '127.0.0.2'))
  const hello = await clientHello(t)
  for (let count = 0; count < 2; count += 1) {
    const socket = await connectFrom(t, gate, '127.0.0.2')
    socket.write(hello)
    await once(socket, 'data')
  }
})

test('a costly handshake, also one that fails, ends the others of its source before they cost anything', async t => {
  const judgements = ['usual', 'costly'] as PresentedCertificate[]
  const judge = ({ remoteAddress }: Socket) => (remoteAddress === '127.0.0.2' && judgements.shift()) || 'usual'
  const rests: number[] = []
  const restMs = (_busyMs: number, sentBytes: number) => rests.push(sentBytes) && 0
  const gate = await openGate(t, { judge, restMs, helloLimitMs: FOR_EVER_MS })
  const hello = await clientHello(t)
  const underWay = async (address: string) => {
    await isAnswered(startTls(t, gate, address)) // from then on several are
    const socket = await connectFrom(t, gate, address)
    socket.write(hello)
    await once(socket, 'data')
    return { closed: once(socket, 'close') }
  }
  const besideCostly = await underWay('127.0.0.2')
  startTls(t, gate, '127.0.0.2')
  await besideCostly.closed

  const besideFailed = await underWay('127.0.0.3')
  const failed = await connectFrom(t, gate, '127.0.0.3')
  failed.write(hello)
  await once(failed, 'data')
  rests.length = 0
  failed.write(Buffer.concat([Buffer.of(23, 3, 3, 0x20, 0), Buffer.alloc(0x2000)]))
  await besideFailed.closed
  assert.equal(rests[0], 5 + 0x2000)
  assert.equal(usualRestMs(1_000, 0x2000), 4_000)
  assert.equal(usualRestMs(9_000, 0x2000), 10_000)
  assert.equal(usualRestMs(1_000, 30), 100, 'it cannot have been costly')
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

test('after a handshake that failed or was costly its source rests, also where a neighbour came from; others do not', async t => {
  const judgements = new Map<string, PresentedCertificate[]>([
    ['127.0.0.4', ['costly']],
    ['127.0.0.5', ['known', 'known', 'costly']]
  ])
  const judge = ({ remoteAddress = '' }: Socket) => judgements.get(remoteAddress)?.shift() ?? 'usual'
  const gate = await openGate(t, { judge, restMs: () => FOR_EVER_MS })
  const isServed = async (address: string) => {
    const socket = startTls(t, gate, address)
    let isSecure = false
    socket.once('secureConnect', () => {
      isSecure = true
    })
    await once(socket, 'connect')
    for (let others = 0; others < 3; others += 1) await isAnswered(startTls(t, gate, '127.0.0.9')) // which came later
    return isSecure
  }
  await isAnswered(startTls(t, gate, '127.0.0.2'))
  assert.equal(await isServed('127.0.0.2'), true, 'a usual one changes nothing')

  const failed = await connectFrom(t, gate, '127.0.0.3')
  failed.resume().write('GET / HTTP/1.1\r\n\r\n')
  await once(failed, 'close')
  assert.equal(await isServed('127.0.0.3'), false)

  await isAnswered(startTls(t, gate, '127.0.0.4'))
  assert.equal(await isServed('127.0.0.4'), false)

  await isAnswered(startTls(t, gate, '127.0.0.5'))
  assert.equal(await isServed('127.0.0.5'), true, 'nor does that of a neighbour')
  await isAnswered(startTls(t, gate, '127.0.0.5'))
  assert.equal(await isServed('127.0.0.5'), false)
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
