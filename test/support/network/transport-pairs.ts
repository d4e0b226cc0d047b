import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { createServer as createTlsServer, connect as tlsConnect } from 'node:tls'
import { WebSocket, WebSocketServer } from 'ws'
import { makeAgentCertificate } from '../../../demo/pki.js'
import { RawTransport } from '../../../src/links/wire/raw/raw-transport.js'
import type { Transport } from '../../../src/links/wire/transport.js'
import { WebSocketTransport } from '../../../src/links/wire/web-socket-transport.js'

/** The end of a transport in a test, with what is below it. */
export interface TestEnd {
  readonly transport: Transport
  /** Sends bytes as they are: of a WebSocket, a message of them. Resolves when they have gone out. */
  send(bytes: Buffer): Promise<unknown>
  /** Ends in order. */
  close(): void
  /** Breaks off, without a word. */
  reset(): void
  /** How many times it was not read for a while. */
  readonly pauses: () => number
  /** Resolves once the connection is gone. */
  readonly closed: Promise<unknown>
}

export type TransportKind = 'WebSocket' | 'raw bytes' | 'raw bytes over TLS'
export const RAW_KINDS = ['raw bytes', 'raw bytes over TLS'] as const
export const TRANSPORT_KINDS: readonly TransportKind[] = ['WebSocket', ...RAW_KINDS]

/** Two ends of one transport. */
export async function transportPair(t: TestContext, kind: TransportKind): Promise<readonly [TestEnd, TestEnd]> {
  return kind === 'WebSocket' ? webSocketPair(t) : rawPair(t, kind === 'raw bytes over TLS')
}

async function webSocketPair(t: TestContext): Promise<readonly [TestEnd, TestEnd]> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false })
  await once(server, 'listening')
  const near = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`, { perMessageDeflate: false })
  const [[far]] = (await Promise.all([once(server, 'connection'), once(near, 'open')])) as [[WebSocket], unknown]
  t.after(() => {
    near.terminate()
    far.terminate()
    server.close()
  })
  const endOf = (socket: WebSocket): TestEnd => ({
    transport: new WebSocketTransport(socket),
    send: bytes => new Promise(resolve => socket.send(bytes, resolve)),
    close: () => socket.close(1000),
    reset: () => socket.terminate(),
    pauses: countPauses(socket),
    closed: new Promise(resolve => socket.once('close', resolve))
  })
  return [endOf(near), endOf(far)]
}

async function rawPair(t: TestContext, isTls: boolean): Promise<readonly [TestEnd, TestEnd]> {
  const { certificatePem: cert, privateKeyPem: key } = await makeAgentCertificate({ nodeId: 'root', hostname: 'x' })
  const server = isTls ? createTlsServer({ cert, key }) : createServer({ allowHalfOpen: true })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const to = { host: '127.0.0.1', port: (server.address() as AddressInfo).port }
  const accepted = once(server, isTls ? 'secureConnection' : 'connection') as Promise<[Socket]>
  const tcp = connect(to)
  const near = isTls ? tlsConnect({ socket: tcp, rejectUnauthorized: false }) : tcp
  await once(near, isTls ? 'secureConnect' : 'connect')
  const [far] = await accepted
  t.after(() => {
    near.destroy()
    far.destroy()
    server.close()
  })
  const endOf = (socket: Socket, below: Socket): TestEnd => ({
    transport: new RawTransport(socket, Buffer.alloc(0)),
    send: bytes => new Promise(resolve => socket.write(bytes, resolve)),
    close: () => socket.end(),
    reset: () => (below === tcp ? below.resetAndDestroy() : below.destroy()), // a FIN alone would be an end in order
    pauses: countPauses(socket),
    closed: new Promise(resolve => socket.once('close', resolve))
  })
  return [endOf(near, tcp), endOf(far, far)]
}

function countPauses(socket: { pause(): unknown }): () => number {
  let pauses = 0
  const pause = socket.pause.bind(socket)
  socket.pause = () => {
    pauses += 1
    return pause()
  }
  return () => pauses
}
