import { once } from 'node:events'
import type { RequestListener } from 'node:http'
import { createServer as createHttpsServer, type ServerOptions } from 'node:https'
import type { AddressInfo, Server, Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import type { CertificateMaterial } from '../../../demo/pki.js'

/** A server of a test, on a port of loopback; closed, connections and all, when the test ends. */
export interface TlsPeer {
  readonly port: number
  /** TLS connections that it took so far. */
  readonly connections: () => number
  /** Connections that are open now. */
  readonly sockets: ReadonlySet<TLSSocket>
}

type Identity = Pick<CertificateMaterial, 'certificatePem' | 'privateKeyPem'>

/** An HTTPS server that answers with `listener`. */
export async function startHttpsPeer(
  t: TestContext,
  identity: Identity,
  listener: RequestListener,
  options: ServerOptions = {}
): Promise<TlsPeer> {
  return listen(t, createHttpsServer({ ...credentials(identity), ...options }, listener))
}

/** A TLS server that speaks whatever `listener` speaks. */
export async function startRawPeer(
  t: TestContext,
  identity: Identity,
  listener: (socket: TLSSocket) => void
): Promise<TlsPeer> {
  return listen(t, createTlsServer(credentials(identity), listener))
}

function credentials(identity: Identity) {
  return { cert: identity.certificatePem, key: identity.privateKeyPem, minVersion: 'TLSv1.3' as const }
}

async function listen(t: TestContext, server: Server): Promise<TlsPeer> {
  const sockets = new Set<TLSSocket>()
  const accepted = new Set<Socket>()
  let connections = 0
  server.on('connection', (socket: Socket) => {
    accepted.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => accepted.delete(socket))
  })
  server.on('secureConnection', (socket: TLSSocket) => {
    connections += 1
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
  })
  server.on('tlsClientError', () => undefined)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(async () => {
    const closed = once(server, 'close')
    server.close()
    for (const socket of [...sockets, ...accepted]) socket.destroy()
    await closed
  })
  const address = server.address() as AddressInfo
  return { port: address.port, connections: () => connections, sockets }
}
