import type { Server as HttpServer, IncomingMessage } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import { Socket, type Server as TcpServer } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { hasBody } from '../../api/bodies/request-body.js'
import { sourceOf } from '../../network/sources/source-address.js'
import type { ProvenNeighbour } from '../../tree/known-certificates.js'
import type { ConnectionPart } from './connection-budget.js'
import { rawSocketOf } from './raw-socket.js'
import { type ConnectionSlot, YieldingSlots } from './yielding-slots.js'

/** The time after which a connection counts as unused, when its caller has taken nothing of an answer for so long. */
const STALLED_MS = 10_000

/** The time after which a connection whose request's body has not come may make room, when there is no unused one. */
const SLOW_BODY_MS = 2_000

export interface SlotOptions {
  /** The connections that it may have at once. */
  readonly part: ConnectionPart
  /** Callers that make room for nobody, by their address: others share what those leave. */
  readonly isKnownAddress: (address: string) => boolean
  /** Finds who showed a certificate of the tree: a node or relay makes room beyond a number of connections. */
  readonly neighbourOf?: (socket: TLSSocket) => ProvenNeighbour | undefined
  /** @default 10,000 */
  readonly stalledMs?: number
  /** @default 2,000 */
  readonly slowBodyMs?: number
}

/**
 * Bounds the connections of a server, and shares them among the sources of strangers: where all slots are taken, an
 * unused connection of the source with the most of them makes room for a source that has fewer; where there is none, one
 * whose request is slow to come. Before that, a node or relay that has more than its number makes room for anyone.
 * @param listening takes the connections: `http` itself, or what stands before its handshakes
 * @returns a function that exempts a connection which has become a link: it is bounded by what bounds links from then on
 */
export function shareConnections(
  listening: TcpServer,
  http: HttpServer | HttpsServer,
  options: SlotOptions
): (connection: Duplex) => void {
  const { part, isKnownAddress, neighbourOf, stalledMs = STALLED_MS, slowBodyMs = SLOW_BODY_MS } = options
  const bySocket = new WeakMap<Socket, ConnectionSlot>()
  const yielding = new YieldingSlots({ max: part.max, stalledMs, slowBodyMs })

  function enter(socket: Socket): void {
    if (bySocket.has(socket)) return // handed in anew, since a request offered an upgrade for nothing of ours
    const address = socket.remoteAddress ?? ''
    const slot: ConnectionSlot = {
      source: sourceOf(address),
      socket,
      isKnown: isKnownAddress(address),
      connection: socket
    }
    if (!part.hasRoom() && !makeRoom(slot)) {
      socket.destroy()
      return
    }
    part.take()
    bySocket.set(socket, slot)
    yielding.add(slot)
    socket.once('close', () => leave(slot))
  }

  /** Once only: a connection that makes room closes later. */
  function leave(slot: ConnectionSlot): void {
    if (!bySocket.delete(slot.socket)) return
    part.giveBack()
    yielding.delete(slot)
  }

  function makeRoom(newcomer: ConnectionSlot): boolean {
    const slot = yielding.whoMakesRoom(newcomer)
    if (slot === undefined) return false
    leave(slot)
    slot.socket.destroy()
    return true
  }

  function exempt(connection: Duplex): void {
    const slot = slotOf(connection)
    if (slot !== undefined) yielding.delete(slot)
  }

  function slotOf(connection: Duplex): ConnectionSlot | undefined {
    return connection instanceof Socket ? bySocket.get(rawSocketOf(connection)) : undefined
  }

  function noteRequest(request: IncomingMessage): void {
    if (!hasBody(request)) return // it is whole already: so it is with nearly all
    const slot = slotOf(request.socket)
    if (slot !== undefined) slot.askedAtMs = performance.now()
  }

  http.prependListener('request', noteRequest)
  for (const event of ['checkContinue', 'checkExpectation'] as const) {
    // The first listener would keep Node from answering such requests itself.
    if (http.listenerCount(event) > 0) http.prependListener(event, noteRequest)
  }
  listening.prependListener('connection', enter)
  http.on('secureConnection', (socket: TLSSocket) => {
    const slot = slotOf(socket)
    if (slot === undefined) return
    yielding.delete(slot)
    slot.connection = socket
    slot.neighbour = neighbourOf?.(socket)
    yielding.add(slot)
  })
  return exempt
}
