import { createServer, type Server, type Socket } from 'node:net'
import { sourceOf } from '../../network/sources/source-address.js'
import { CallerConnection, type CallerLimits } from './caller-connection.js'
import { type CallerSlot, CallerSlots, type ConnectionShare } from './caller-slots.js'
import type { ServiceEntry } from './service-entry.js'

export interface ServiceListener {
  readonly server: Server
  /** Ends what is left. */
  cut(): void
}

/** Creates a listener for callers of services, in plain HTTP. The caller of this has it listen. */
export function createServiceListener(
  entry: ServiceEntry,
  limits: CallerLimits,
  share: ConnectionShare
): ServiceListener {
  const sockets = new Set<Socket>()
  const slots = new CallerSlots(share)
  const server = createServer({ allowHalfOpen: true }, socket => {
    const slot: CallerSlot = { source: sourceOf(socket.remoteAddress ?? ''), close: () => socket.destroy() }
    if (!slots.enter(slot)) {
      socket.destroy()
      return
    }
    sockets.add(socket)
    socket.once('close', () => {
      sockets.delete(socket)
      slots.leave(slot)
    })
    const { localAddress = '', localPort = 0 } = socket
    const host = localAddress.includes(':') ? `[${localAddress}]` : localAddress
    new CallerConnection(socket, entry, { scheme: 'http', localAddress: `${host}:${localPort}` }, limits, isUsed =>
      slots.use(slot, isUsed)
    )
  })
  return {
    server,
    cut: () => {
      for (const socket of sockets) socket.destroy()
    }
  }
}
