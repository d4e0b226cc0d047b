import { once } from 'node:events'
import type { Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { createServer, type TLSSocket } from 'node:tls'
import type { CertificateMaterial } from '../../../demo/pki.js'
import type { TreeRelay } from '../../../demo/relay-tree.js'

/** The behaviour of a hop on a connection. */
export type HopBehaviour = (socket: TLSSocket) => void

/** Stands where a relay of the tree should, and behaves badly. */
export interface HostileHop {
  behave(behaviour: HopBehaviour): void
  stop(): Promise<void>
}

/** @param certificate instead of the relay's own */
export async function startHostileHop(
  t: TestContext,
  relay: TreeRelay,
  certificate: CertificateMaterial = relay.certificate
): Promise<HostileHop> {
  const sockets = new Set<Socket>()
  let behaviour: HopBehaviour = socket => socket.destroy()
  const credentials = { cert: certificate.certificatePem, key: certificate.privateKeyPem }
  const server = createServer({ ...credentials, minVersion: 'TLSv1.3' }, socket => {
    socket.on('error', () => undefined)
    behaviour(socket)
  })
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
  })
  server.on('tlsClientError', () => undefined)
  server.listen({ host: '127.0.0.1', port: Number(new URL(relay.url).port) })
  await once(server, 'listening')
  async function stop(): Promise<void> {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    for (const socket of sockets) socket.destroy()
    await closed
  }
  t.after(stop)
  return {
    behave: other => {
      behaviour = other
      for (const socket of sockets) socket.destroy() // those that are kept open would go on in the old way
      sockets.clear()
    },
    stop
  }
}

/** Says `text` once something was asked; and closes then, if told to. */
export function says(text: string, closes = false): HopBehaviour {
  return socket => {
    socket.on('data', () => undefined)
    socket.once('data', () => {
      if (closes) socket.end(text)
      else socket.write(text)
    })
  }
}

/** A whole answer of HTTP. */
export function answers(status: number, body = '', headers: readonly string[] = []): HopBehaviour {
  return says(
    [`HTTP/1.1 ${status} X`, `Content-Length: ${body.length}`, 'Connection: close', ...headers, '', body].join('\r\n'),
    true
  )
}
