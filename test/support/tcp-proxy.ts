import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { TestContext } from 'node:test'

export interface TcpProxy {
  readonly port: number
  /** Ends all connections, as a network does that breaks. */
  cut(): void
}

/** Hands TCP connections on to a port of loopback. */
export async function startTcpProxy(t: TestContext, targetPort: number): Promise<TcpProxy> {
  const sockets = new Set<Socket>()
  const keep = (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket))
  }
  const server = createServer(near => {
    const far = connect({ host: '127.0.0.1', port: targetPort })
    keep(near)
    keep(far)
    near.on('data', chunk => far.write(chunk)).on('close', () => far.destroy())
    far.on('data', chunk => near.write(chunk)).on('close', () => near.destroy())
  })
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    cut()
  })
  const address = server.address() as AddressInfo
  return { port: address.port, cut }
}
