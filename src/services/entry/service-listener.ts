import { createServer, type Server, type Socket } from 'node:net'
import { CallerConnection, type CallerLimits } from './caller-connection.js'
import type { ServiceEntry } from './service-entry.js'

export interface ServiceListener {
  readonly server: Server
  /** Ends what is left. */
  cut(): void
}

/** Creates a listener for callers of services, in plain HTTP. The caller of this has it listen. */
export function createServiceListener(entry: ServiceEntry, limits: CallerLimits): ServiceListener {
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, socket => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    const { localAddress = '', localPort = 0 } = socket
    const host = localAddress.includes(':') ? `[${localAddress}]` : localAddress
    new CallerConnection(socket, entry, { scheme: 'http', localAddress: `${host}:${localPort}` }, limits)
  })
  return {
    server,
    cut: () => {
      for (const socket of sockets) socket.destroy()
    }
  }
}
