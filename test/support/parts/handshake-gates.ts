import { once } from 'node:events'
import { createServer, type ServerOptions } from 'node:https'
import { connect, type Server, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import type { TestContext } from 'node:test'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { makeAgentCertificate } from '../../../demo/pki.js'
import {
  createHandshakeGate,
  type HandshakeGateOptions
} from '../../../src/relay/listening/handshakes/handshake-gate.js'

const certificate = await makeAgentCertificate({ nodeId: 'root', hostname: 'localhost' })

/** A turn that does not end within a test. */
export const FOR_EVER_MS = 3_600_000

export async function openGate(
  t: TestContext,
  options: HandshakeGateOptions,
  more: ServerOptions = {}
): Promise<Server> {
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

export async function connectFrom(t: TestContext, gate: Server, localAddress: string): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port: portOf(gate), localAddress })
  socket.on('error', () => undefined)
  t.after(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

export function startTls(
  t: TestContext,
  gate: Server,
  localAddress: string,
  own: { cert?: string; key?: string; localPort?: number } = {}
) {
  // `localAddress` is passed on to `net.connect`
  const options = { host: '127.0.0.1', port: portOf(gate), localAddress, rejectUnauthorized: false, ...own }
  const socket = connectTls(options)
  socket.on('error', () => undefined)
  t.after(() => socket.destroy())
  return socket
}

/** Like `startTls`, with all bytes that follow the ClientHello passed to `send` in place of the network. */
export async function startTlsThrough(
  t: TestContext,
  gate: Server,
  localAddress: string,
  own: { cert: string; key: string },
  send: (bytes: Buffer, raw: Socket) => Promise<void>
): Promise<TLSSocket> {
  const raw = await connectFrom(t, gate, localAddress)
  let isHello = true
  const stream = new Duplex({
    read: () => undefined,
    write: (bytes: Buffer, _encoding, done) => {
      if (isHello) raw.write(bytes, () => done())
      else void send(bytes, raw).then(() => done(), done)
      isHello = false
    }
  })
  raw.on('data', bytes => stream.push(bytes))
  raw.on('close', () => stream.push(null))
  const socket = connectTls({ socket: stream, rejectUnauthorized: false, ...own })
  socket.on('error', () => undefined)
  t.after(() => socket.destroy())
  return socket
}

/** Resolves once the server has judged the handshake too, which answers then. */
export async function isAnswered(socket: TLSSocket): Promise<void> {
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
  await once(socket, 'data')
}

/** Begins a handshake and does not go on with it. Resolves once the server has answered its first record. */
export async function beginHandshake(t: TestContext, gate: Server, localAddress: string): Promise<Socket> {
  const hello = await clientHello(t)
  const socket = await connectFrom(t, gate, localAddress)
  socket.write(hello)
  await once(socket, 'data')
  return socket
}

/** Resolves once three connections of another source that come now are served: what came before them had its turn. */
export async function laterOnesAreServed(t: TestContext, gate: Server): Promise<void> {
  for (let others = 0; others < 3; others += 1) await isAnswered(startTls(t, gate, '127.0.0.9'))
}

/** The first record of a handshake, as a client sends it. */
export async function clientHello(t: TestContext): Promise<Buffer> {
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
