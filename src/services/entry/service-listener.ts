import { createServer, type Server, type Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { sourceOf } from '../../network/sources/source-address.js'
import { CallerConnection, type CallerLimits } from './caller-connection.js'
import type { CallerSlot, CallerSlots } from './caller-slots.js'
import { Http2Connection } from './http2/http2-connection.js'
import { tellVersion } from './http2/prior-knowledge.js'
import type { CallerOrigin } from './request-for-service.js'
import type { ServiceEntry } from './service-entry.js'

/** A caller that vanished without a word, behind a silent answer or upgrade, is noticed some minutes later. */
const KEEP_ALIVE_AFTER_MS = 60_000

/** Callers in HTTP/2, of all listeners together. */
export interface Http2Callers {
  /** Their requests, each as one that has a slot. */
  readonly streams: CallerSlots
  /** Told of a source one of whose connections was closed for frames that bring nothing on. */
  readonly onFlood: (source: string) => void
}

/** The connections of callers at one listener. */
export class ListenerConnections {
  readonly #slotOf = new Map<Socket, CallerSlot>()

  constructor(
    private readonly entry: ServiceEntry,
    private readonly limits: CallerLimits,
    /** Several listeners may have the same ones. */
    private readonly slots: CallerSlots,
    private readonly http2: Http2Callers
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

  /** Reads the requests on a connection over TLS, in the version of HTTP that both sides agreed on. */
  serveTls(socket: TLSSocket, accepted: Socket): void {
    this.#serve(socket, accepted, 'https', socket.alpnProtocol === 'h2' ? 'HTTP/2' : 'HTTP/1')
  }

  /** Reads the requests on a plain connection. @param mayBeHttp2 whether its first bytes tell the version of HTTP */
  servePlain(socket: Socket, mayBeHttp2: boolean): void {
    if (!mayBeHttp2) this.#serve(socket, socket, 'http', 'HTTP/1')
    else {
      tellVersion(socket, this.limits.headMs, isHttp2 => {
        this.#serve(socket, socket, 'http', isHttp2 ? 'HTTP/2' : 'HTTP/1')
      })
    }
  }

  /** Ends what is left. */
  cut(): void {
    for (const socket of this.#slotOf.keys()) socket.destroy()
  }

  /**
   * Reads the requests on a connection that has entered.
   * @param socket the connection itself, or the TLS over it
   */
  #serve(socket: Socket, accepted: Socket, scheme: CallerOrigin['scheme'], version: 'HTTP/1' | 'HTTP/2'): void {
    const slot = this.#slotOf.get(accepted)
    if (slot === undefined) return void socket.destroy()
    const { localAddress = '', localPort = 0 } = socket
    const host = localAddress.includes(':') ? `[${localAddress}]` : localAddress
    const origin = { scheme, localAddress: `${host}:${localPort}` }
    const onUse = (isUsed: boolean) => this.slots.use(slot, isUsed)
    if (version === 'HTTP/1') new CallerConnection(socket, this.entry, origin, this.limits, onUse)
    else {
      const { entry, limits, http2 } = this
      const onFlood = () => http2.onFlood(slot.source)
      new Http2Connection({ socket, entry, origin, ...limits, streams: http2.streams, onUse, onFlood })
    }
  }
}

/**
 * Creates a plain listener, for HTTP/1. The caller of this has it listen.
 * @param takesHttp2 whether a caller may speak HTTP/2 as well, without having asked
 */
export function createPlainServiceListener(connections: ListenerConnections, takesHttp2 = false): Server {
  return createServer({ allowHalfOpen: true }, socket => {
    if (connections.enter(socket)) connections.servePlain(socket, takesHttp2)
  })
}
