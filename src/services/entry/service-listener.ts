import { createServer, type Server, type Socket } from 'node:net'
import { sourceOf } from '../../network/sources/source-address.js'
import { CallerConnection, type CallerLimits } from './caller-connection.js'
import type { CallerSlot, CallerSlots } from './caller-slots.js'
import type { CallerOrigin } from './request-for-service.js'
import type { ServiceEntry } from './service-entry.js'

/** A caller that vanished without a word, behind a silent answer or upgrade, is noticed some minutes later. */
const KEEP_ALIVE_AFTER_MS = 60_000

/** The connections of callers at one listener. */
export class ListenerConnections {
  readonly #slotOf = new Map<Socket, CallerSlot>()

  constructor(
    private readonly entry: ServiceEntry,
    private readonly limits: CallerLimits,
    /** Several listeners may have the same ones. */
    private readonly slots: CallerSlots
  ) {}

  /** Counts a connection, as it was accepted. @returns false where there is no room: it has been closed */
  enter(socket: Socket): boolean {
    const slot: CallerSlot = { source: sourceOf(socket.remoteAddress ?? ''), close: () => socket.destroy() }
    if (!this.slots.enter(slot)) {
      socket.destroy()
      return false
    }
    this.#slotOf.set(socket, slot)
    socket.setKeepAlive(true, KEEP_ALIVE_AFTER_MS)
    socket.once('close', () => {
      this.#slotOf.delete(socket)
      this.slots.leave(slot)
    })
    return true
  }

  /**
   * Reads the requests on a connection that has entered.
   * @param socket the connection itself, or the TLS over it
   */
  serve(socket: Socket, accepted: Socket, scheme: CallerOrigin['scheme']): void {
    const slot = this.#slotOf.get(accepted)
    if (slot === undefined) return void socket.destroy()
    const { localAddress = '', localPort = 0 } = socket
    const host = localAddress.includes(':') ? `[${localAddress}]` : localAddress
    const origin = { scheme, localAddress: `${host}:${localPort}` }
    new CallerConnection(socket, this.entry, origin, this.limits, isUsed => this.slots.use(slot, isUsed))
  }

  /** Ends what is left. */
  cut(): void {
    for (const socket of this.#slotOf.keys()) socket.destroy()
  }
}

/** Creates a listener in plain HTTP. The caller of this has it listen. */
export function createPlainServiceListener(connections: ListenerConnections): Server {
  return createServer({ allowHalfOpen: true }, socket => {
    if (connections.enter(socket)) connections.serve(socket, socket, 'http')
  })
}
