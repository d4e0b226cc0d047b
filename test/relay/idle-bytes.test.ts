import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { createServer, request as httpsRequest } from 'node:https'
import { type AddressInfo, connect as connectTcp, createServer as createTcpServer } from 'node:net'
import { pipeline, Readable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { connect, createServer as createTlsServer, type TLSSocket } from 'node:tls'
import { makeAgentCertificate } from '../../demo/pki.js'
import { createHandshakeGate } from '../../src/relay/listening/handshakes/handshake-gate.js'
import { openServer } from '../support/network/open-server.js'

const certificate = await makeAgentCertificate({ nodeId: 'root', hostname: 'localhost' })
/** Looks all the time, and forgives nothing beyond a record. */
const STRICT = { maxBytes: 0, intervalMs: 1, busyFrom: 0 }

/** An HTTPS server that answers with how many bytes came, behind a gate. */
async function open(t: TestContext) {
  const idle: string[] = []
  const received = new EventEmitter()
  const options = { cert: certificate.certificatePem, key: certificate.privateKeyPem }
  const tls = createServer(options, async (request, response) => {
    request.on('error', () => undefined)
    let bytes = 0
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      received.emit('more')
    })
    request.on('end', () => response.end(String(bytes)))
  })
  const gate = createHandshakeGate(tls, { idleBytes: STRICT, onIdle: source => void idle.push(source) })
  gate.listen({ host: '127.0.0.1', port: 0 })
  await once(gate, 'listening')
  t.after(() => {
    tls.closeAllConnections()
    gate.close()
  })
  return { port: (gate.address() as AddressInfo).port, idle, received }
}

async function upload(port: number, body: Iterable<Buffer>): Promise<string> {
  const request = httpsRequest({ host: '127.0.0.1', port, method: 'PUT', rejectUnauthorized: false, agent: false })
  Readable.from(body).pipe(request)
  const [response] = (await once(request, 'response')) as [Readable]
  return (await response.setEncoding('utf8').toArray()).join('')
}

function connectFrom(t: TestContext, port: number, localAddress: string): TLSSocket {
  // `localAddress` is passed on to `net.connect`
  const options = { host: '127.0.0.1', port, localAddress, rejectUnauthorized: false }
  const socket = connect(options)
  t.after(() => socket.destroy())
  return socket
}

test('a caller that keeps renewing its keys is closed, and its source rests', async t => {
  const { port, idle, received } = await open(t)
  const client = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, '-tls1_3'])
  client.stdin.on('error', () => undefined)
  client.stdout.resume()
  t.after(() => client.kill())
  const closed = once(client, 'close').then(() => true)
  const before = (what: Promise<unknown>) => Promise.race([closed, what.then(() => false)])
  const said = new EventEmitter()
  client.stderr.setEncoding('utf8').on('data', (text: string) => {
    if (text.includes('KEYUPDATE')) said.emit('renewed')
  })
  const first = once(received, 'more')
  client.stdin.write('PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\nx')
  await first
  // Each command is a read of its own, and the keys are renewed with the next byte that is sent.
  let isClosed = false
  for (let renewals = 0; !isClosed && renewals < 1_000; renewals += 1) {
    const command = once(said, 'renewed')
    client.stdin.write('k\n')
    await before(command)
    const byte = once(received, 'more')
    client.stdin.write('x\n')
    isClosed = await before(byte)
  }
  assert.ok(isClosed)
  assert.deepEqual(idle, ['127.0.0.1'])

  let isShaken = false
  connectFrom(t, port, '127.0.0.1').once('secureConnect', () => {
    isShaken = true
  })
  await once(connectFrom(t, port, '127.0.0.2'), 'secureConnect')
  assert.ok(!isShaken, 'it waits')
})

/** Passes on what comes for `port` a little at a time, as a slow network does. @returns its own port */
async function slowWay(t: TestContext, port: number): Promise<number> {
  const server = createTcpServer(incoming => {
    const outgoing = connectTcp({ host: '127.0.0.1', port })
    const pieces = async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        for (let at = 0; at < chunk.length; at += 1_000) {
          yield chunk.subarray(at, at + 1_000)
          await new Promise(resolve => setTimeout(resolve, 1)) // for a look in between
        }
      }
    }
    pipeline(incoming, pieces, outgoing, incoming, () => undefined)
  })
  return openServer(t, server)
}

test('whole files, small pieces, requests without a body and slow networks are not', async t => {
  const { port, idle } = await open(t)
  assert.equal(await upload(port, [Buffer.alloc(8_000_000)]), '8000000')
  assert.equal(
    await upload(
      port,
      Array.from({ length: 2_000 }, () => Buffer.alloc(100))
    ),
    '200000'
  )
  for (let count = 0; count < 20; count += 1) assert.equal(await upload(port, []), '0')
  const slow = await slowWay(t, port)
  for (let count = 0; count < 3; count += 1) assert.equal(await upload(slow, [Buffer.alloc(16_384)]), '16384')
  assert.deepEqual(idle, [])
})

test('short records of a caller that reads a long answer bring it on', async t => {
  const identity = { cert: certificate.certificatePem, key: certificate.privateKeyPem }
  const tls = createTlsServer(identity, socket => {
    socket.on('error', () => undefined)
    socket.on('data', () => socket.write(Buffer.alloc(4_096)))
  })
  const gate = createHandshakeGate(tls, { idleBytes: STRICT })
  const socket = connect({ port: await openServer(t, gate), host: '127.0.0.1', rejectUnauthorized: false })
  t.after(() => socket.destroy())
  await once(socket, 'secureConnect')
  let got = 0
  socket.on('data', (chunk: Buffer) => {
    got += chunk.length
  })
  const closed = once(socket, 'close').then(() => true)
  for (let asked = 1; asked <= 3_000; asked += 1) {
    socket.write(Buffer.alloc(13)) // as a WINDOW_UPDATE of HTTP/2
    while (got < asked * 4_096) {
      const isClosed = await Promise.race([closed, once(socket, 'data').then(() => false)])
      assert.ok(!isClosed, `closed after ${asked}`)
    }
  }
})
