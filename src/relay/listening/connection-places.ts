import type { Server as HttpServer } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import { Socket, type Server as TcpServer } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { answerUnderWay } from '../../api/server-options.js'
import { sourceOf } from '../../values/network/source-address.js'
import { SourceQueue } from '../../values/network/source-queue.js'

/** Connections that are looked at for an unused one when all places are taken. */
const MAX_LOOKED_AT = 100

/** Of an answer of which its caller has taken nothing for so long the connection counts as unused. */
const STALLED_MS = 10_000

export interface PlaceOptions {
  /** Connections at once. */
  readonly max: number
  /** Callers that make room for nobody, by their address: others share what those leave. */
  readonly isKnownAddress: (address: string) => boolean
  /** The same, by the certificate that was shown. */
  readonly isNeighbour?: (socket: TLSSocket) => boolean
  /** @default 10,000 */
  readonly stalledMs?: number
}

/** A connection that has a place. */
interface Place {
  readonly source: string
  readonly socket: Socket
  readonly isKnown: boolean
  /** Speaks HTTP: the socket itself, or the TLS over it. */
  connection: Socket
  /** How far an answer had come, and when it was first seen there. */
  seen?: { readonly atMs: number; readonly sent: number; readonly unsent: number }
}

/**
 * Bounds the connections of a server, and shares them among the sources of strangers: where all places are taken, an
 * unused connection of the source with the most of them makes room for a source that has fewer.
 * @param listening takes the connections: `http` itself, or what stands before its handshakes
 */
export function shareConnections(
  listening: TcpServer,
  http: HttpServer | HttpsServer,
  { max, isKnownAddress, isNeighbour = () => false, stalledMs = STALLED_MS }: PlaceOptions
): void {
  const places = new Set<Place>()
  /** By the caller's address and port. */
  const byName = new Map<string, Place>()
  /** Those that may have to make room. */
  const strangers = new SourceQueue<Place>()

  function enter(socket: Socket): void {
    const name = nameOf(socket)
    const before = byName.get(name)
    if (before?.socket === socket) {
      putBack(before)
      return
    }
    const address = socket.remoteAddress ?? ''
    const place: Place = { source: sourceOf(address), socket, isKnown: isKnownAddress(address), connection: socket }
    if (places.size >= max && !makeRoom(place)) {
      socket.destroy()
      return
    }
    places.add(place)
    byName.set(name, place)
    putBack(place)
    socket.once('close', () => leave(place, name))
  }

  function leave(place: Place, name: string): void {
    places.delete(place)
    strangers.delete(place.source, place)
    if (byName.get(name) === place) byName.delete(name)
  }

  function putBack(place: Place): void {
    if (!place.isKnown) strangers.add(place.source, place)
  }

  function makeRoom({ source, isKnown }: Place): boolean {
    for (let looked = 0; looked < MAX_LOOKED_AT; looked += 1) {
      const oldest = isKnown ? strangers.oldestOfLargest() : strangers.oldestDueTo(source)
      if (oldest === undefined) return false
      strangers.delete(oldest.source, oldest)
      if (answerUnderWay(oldest.connection) === undefined || isStalled(oldest, stalledMs)) {
        places.delete(oldest)
        oldest.socket.destroy()
        return true
      }
      strangers.add(oldest.source, oldest) // behind the others of its source
    }
    return false
  }

  /** One that becomes a link is bounded by what bounds links. Where it becomes none, it is handed in anew. */
  function take(connection: Duplex): void {
    const place = placeOf(connection)
    if (place !== undefined) strangers.delete(place.source, place)
  }

  function placeOf(connection: Duplex): Place | undefined {
    return connection instanceof Socket ? byName.get(nameOf(connection)) : undefined
  }

  listening.prependListener('connection', enter)
  // Before what may hand it in anew.
  http.prependListener('upgrade', (_request, socket: Duplex) => take(socket))
  http.on('secureConnection', (socket: TLSSocket) => {
    const place = placeOf(socket)
    if (place === undefined) return
    place.connection = socket
    if (isNeighbour(socket)) take(socket)
    else putBack(place)
  })
}

/** Whether an answer waits for a caller that takes nothing; it shows when a connection is looked at again. */
function isStalled(place: Place, limitMs: number): boolean {
  const { bytesWritten: sent, writableLength: unsent } = place.connection
  const { seen } = place
  if (unsent > 0 && seen?.sent === sent && seen.unsent === unsent) return performance.now() - seen.atMs >= limitMs
  place.seen = { atMs: performance.now(), sent, unsent }
  return false
}

function nameOf({ remoteAddress = '', remotePort = 0 }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}
