import type { Server as HttpServer, IncomingMessage } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import { Socket, type Server as TcpServer } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { answerUnderWay } from '../../api/answer-under-way.js'
import { hasBody } from '../../api/request-body.js'
import { sourceOf } from '../../values/network/source-address.js'
import { SourceQueue } from '../../values/network/source-queue.js'

/** Connections that are looked at for an unused one when all places are taken. */
const MAX_LOOKED_AT = 100

/** The time after which a connection counts as unused, when its caller has taken nothing of an answer for so long. */
const STALLED_MS = 10_000

/** The time after which a connection whose request's body has not come may make room, when there is no unused one. */
const SLOW_BODY_MS = 2_000

export interface PlaceOptions {
  /** Connections at once. */
  readonly max: number
  /** Callers that make room for nobody, by their address: others share what those leave. */
  readonly isKnownAddress: (address: string) => boolean
  /** The same, by the certificate that was shown. */
  readonly isNeighbour?: (socket: TLSSocket) => boolean
  /** @default 10,000 */
  readonly stalledMs?: number
  /** @default 2,000 */
  readonly slowBodyMs?: number
}

/** A connection that has a place. */
interface Place {
  readonly source: string
  readonly socket: Socket
  readonly isKnown: boolean
  /** Speaks HTTP: the socket itself, or the TLS over it. */
  connection: Socket
  /** When its last request with a body began: only of that one the body may be missing. */
  askedAtMs?: number
  /** How far an answer had come, and when it was first seen there. */
  seen?: { readonly atMs: number; readonly sent: number; readonly unsent: number }
}

/**
 * Bounds the connections of a server, and shares them among the sources of strangers: where all places are taken, an
 * unused connection of the source with the most of them makes room for a source that has fewer; where there is none, one
 * whose request is slow to come.
 * @param listening takes the connections: `http` itself, or what stands before its handshakes
 */
export function shareConnections(listening: TcpServer, http: HttpServer | HttpsServer, options: PlaceOptions): void {
  const { max, isKnownAddress, isNeighbour = () => false, stalledMs = STALLED_MS, slowBodyMs = SLOW_BODY_MS } = options
  const places = new Set<Place>()
  /** The places by the caller's address and port. */
  const byName = new Map<string, Place>()
  /** The connections that may have to make room. */
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

  function makeRoom(newcomer: Place): boolean {
    const place = whoMakesRoom(newcomer)
    if (place === undefined) return false
    strangers.delete(place.source, place)
    places.delete(place)
    place.socket.destroy()
    return true
  }

  function whoMakesRoom({ source, isKnown }: Place): Place | undefined {
    let slow: Place | undefined
    for (let looked = 0; looked < MAX_LOOKED_AT; looked += 1) {
      const oldest = isKnown ? strangers.oldestOfLargest() : strangers.oldestDueTo(source)
      if (oldest === undefined || oldest === slow) break
      if (answerUnderWay(oldest.connection) === undefined || isStalled(oldest, stalledMs)) return oldest
      if (isSlowToAsk(oldest, slowBodyMs)) slow ??= oldest
      strangers.delete(oldest.source, oldest)
      strangers.add(oldest.source, oldest) // behind the others of its source
    }
    return slow
  }

  /**
   * Exempts a connection that becomes a link, which is bounded by what bounds links. Where it becomes none, it is
   * handed in anew.
   */
  function take(connection: Duplex): void {
    const place = placeOf(connection)
    if (place !== undefined) strangers.delete(place.source, place)
  }

  function placeOf(connection: Duplex): Place | undefined {
    return connection instanceof Socket ? byName.get(nameOf(connection)) : undefined
  }

  function noteRequest(request: IncomingMessage): void {
    if (!hasBody(request)) return // it is whole already: so it is with nearly all
    const place = placeOf(request.socket)
    if (place !== undefined) place.askedAtMs = performance.now()
  }

  http.prependListener('request', noteRequest)
  for (const event of ['checkContinue', 'checkExpectation'] as const) {
    // The first listener would keep Node from answering such requests itself.
    if (http.listenerCount(event) > 0) http.prependListener(event, noteRequest)
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

/** Whether an answer waits for the rest of its request, for longer than that. */
function isSlowToAsk({ connection, askedAtMs }: Place, limitMs: number): boolean {
  const isWhole = answerUnderWay(connection)?.req.complete ?? true
  return !isWhole && askedAtMs !== undefined && performance.now() - askedAtMs >= limitMs
}

function nameOf({ remoteAddress = '', remotePort = 0 }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}
