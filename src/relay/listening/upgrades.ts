import { type IncomingMessage, type Server, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { describe } from '../../api/answers/error-handler.js'
import { checkHead } from '../../api/requests/request-head.js'
import { originForm } from '../../api/requests/request-target.js'
import { createWorkQueue } from '../../process/pacing/work-queue.js'
import { RelayError } from '../../values/failures/relay-error.js'
import { afterEarlierAnswers } from './earlier-answers.js'
import { putBackWithoutOffer } from './without-upgrade.js'

/** The handler of requests that become something other than HTTP/1.1: links. */
export interface Upgrades {
  takes(request: IncomingMessage): boolean
  /** @param onWelcome called when the connection has become a link */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, onWelcome: () => void): void
  /** Bounds the connections that are to become links and have not yet. */
  limitPending?(max: number): void
}

/** How long a refused caller may take to read why. */
const FLUSH_LIMIT_MS = 5_000

/**
 * Requests that offer an upgrade for nothing of ours, which are handed in anew in one turn of the event loop: of all
 * connections of a listener. Each copies what has come behind it, up to `MAX_BYTES_BEHIND_OFFER`.
 */
export const MAX_OFFERS_IN_TURN = 16

/**
 * Hands links to `upgrades`, and serves everything else as if no upgrade had been offered.
 * @param event by which `server` takes a connection
 * @param onLink called with a connection once it is a link
 */
export function serveUpgrades(
  server: Pick<Server, 'on' | 'emit'>,
  event: 'connection' | 'secureConnection',
  upgrades: Upgrades | undefined,
  onLink: (connection: Duplex) => void = () => undefined
): void {
  const queue = createWorkQueue(MAX_OFFERS_IN_TURN)

  function handInAnew(socket: Duplex): void {
    const ignore = () => undefined // `close` follows an error
    socket.on('error', ignore)
    queue(() => {
      if (socket.destroyed) return
      socket.off('error', ignore)
      server.emit(event, socket)
    })
  }

  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const target = request.url ?? '/'
    request.url = originForm(target)
    // RFC 9110, section 7.8: an offer in HTTP/1.0 is to be ignored
    const isForLink = request.httpVersion !== '1.0' && upgrades?.takes(request) === true
    const refusal = refusalOf(request, target, isForLink)
    // At once, or the end of a caller that shuts down its side would be read before it while it waits.
    if (refusal === undefined && !isForLink && !putBackWithoutOffer({ request, target, socket, head })) return
    afterEarlierAnswers(socket, () => {
      if (refusal !== undefined) return refuse(socket, refusal)
      if (!isForLink) return handInAnew(socket)
      upgrades.upgrade(request, socket, head, () => onLink(socket))
    })
  })
}

/** The reason for which a request is not served at all. A head that is not whole would be put back as another request. */
function refusalOf(request: IncomingMessage, target: string, isForLink: boolean): unknown {
  try {
    checkHead(request, target)
    if (isForLink) checkNoPage(request)
    return undefined
  } catch (error) {
    return error
  }
}

/** Browsers send an `Origin` with each WebSocket that they open; what opens links sends none. */
function checkNoPage({ headers }: IncomingMessage): void {
  if (headers.origin === undefined && headers['sec-fetch-site'] === undefined) return
  throw new RelayError('FORBIDDEN', 'not allowed for a web page: links are opened by relays, agents and clients')
}

function refuse(socket: Duplex, error: unknown): void {
  const { status, message } = describe(error)
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Connection: close',
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(message) + 1}`
  ]
  const timer = setTimeout(() => socket.destroy(), FLUSH_LIMIT_MS)
  socket.on('error', () => undefined) // `close` follows
  socket.once('close', () => clearTimeout(timer))
  socket.end(`${head.join('\r\n')}\r\n\r\n${message}\n`, () => socket.destroy())
}
