import { type ConnectionOptions, TLSSocket } from 'node:tls'
import { WebSocket } from 'ws'
import { costlyBehind, describeCostly } from '../../hops/peers/costly-handshakes.js'
import type { Revocations } from '../../keys/certificates/revocations.js'
import { lookAtCertificate, whyRefused } from '../../keys/certificates/shown-certificate.js'
import { describeConnectionFailure } from '../../network/connection-failure.js'
import { boundServerFlight, LongFlightError } from '../../network/tls/server-flight.js'
import { type SeenUpper, seenUpper } from '../wire/challenge.js'
import { CLOSE, HANDSHAKE_LIMIT_MS, REGISTER_PATH, WEB_SOCKET_LIMITS } from '../wire/protocol.js'
import type { Transport } from '../wire/transport.js'
import { WebSocketTransport } from '../wire/web-socket-transport.js'
import { proxyFor } from './proxy.js'

/** The upper side, and how it proves who it is. */
export interface Upper {
  /** `wss://host:port`, without a path. */
  readonly url: string
  /** Trust, and our own certificate. */
  readonly tls: ConnectionOptions
  /** SHA-256 of the leaf certificates that are accepted, lower-case hex; undefined: `tls` decides alone. */
  readonly pins: ReadonlySet<string> | undefined
  /** The known revocations; left out: nobody says what was revoked. */
  readonly revocations?: Revocations
}

/** An open transport whose other side is known only by TLS so far. */
export interface OpenedTransport {
  readonly transport: Transport
  readonly seen: SeenUpper
}

/** The upper side shows certificates that hold the event loop up. */
export class CostlyUpperError extends Error {
  override name = 'CostlyUpperError'
}

/**
 * Opens a transport to the upper side: a WebSocket.
 * @param use called in the turn in which it opens, since the first message may have come with it
 * @returns what `use` gives
 * @throws {Error} whose message is for a user
 */
export async function openTransport<T>(
  upper: Upper,
  signal: AbortSignal,
  use: (opened: OpenedTransport) => Promise<T>
): Promise<T> {
  signal.throwIfAborted()
  const url = `${upper.url}${REGISTER_PATH}`
  const socket = new WebSocket(url, {
    ...upper.tls,
    minVersion: 'TLSv1.3',
    agent: proxyFor(url),
    ...WEB_SOCKET_LIMITS,
    handshakeTimeout: HANDSHAKE_LIMIT_MS,
    followRedirects: false,
    finishRequest: request => {
      request.once('socket', opened => opened instanceof TLSSocket && boundServerFlight(opened))
      request.end()
    }
  })
  const onAbort = () => {
    if (socket.readyState === WebSocket.OPEN) socket.close(CLOSE.stopping, 'it is stopping')
    else socket.terminate()
  }
  signal.addEventListener('abort', onAbort, { once: true })
  socket.once('close', () => signal.removeEventListener('abort', onAbort))
  return new Promise((resolve, reject) => {
    let wrong: Error | undefined
    let seen = seenUpper(undefined, false)
    socket.on('error', error => reject(wrong ?? failure(upper, error)))
    socket.once('unexpected-response', (_request, response) => {
      response.destroy()
      wrong = new Error(
        `${upper.url} answered ${response.statusCode}: no Treeline relay that takes links listens there`
      )
      socket.terminate()
      reject(wrong)
    })
    socket.once('upgrade', response => {
      const leaf = response.socket instanceof TLSSocket ? lookAtCertificate(response.socket) : undefined
      const costly = leaf === undefined ? undefined : costlyBehind(leaf)
      seen = seenUpper(leaf?.raw, upper.pins !== undefined)
      const why = whyRefused(
        seen.fingerprint,
        upper,
        () => `it presents a certificate (sha256:${seen.fingerprint}) that is not the one of the policy server`
      )
      if (costly !== undefined) wrong = tooCostly(upper, costly)
      else if (why !== undefined) wrong = new Error(`${upper.url}: ${why}`)
      if (wrong !== undefined) socket.terminate()
    })
    socket.once('open', () => {
      if (wrong !== undefined) return reject(wrong)
      const unwatch = upper.revocations?.watch(seen.fingerprint, () => socket.terminate())
      socket.once('close', () => unwatch?.())
      const used = use({ transport: new WebSocketTransport(socket), seen })
      used.catch(() => socket.terminate()) // the other side need not close it
      resolve(used)
    })
    socket.once('close', () => reject(wrong ?? new Error(`${upper.url} closed the connection`)))
  })
}

function failure(upper: Upper, error: Error): Error {
  if (error instanceof LongFlightError) return tooCostly(upper, error.shown)
  return new Error(`${upper.url}: ${describeConnectionFailure(error)}`, { cause: error })
}

function tooCostly(upper: Upper, shown: string): CostlyUpperError {
  return new CostlyUpperError(`${upper.url}: ${describeCostly(shown)}`)
}
