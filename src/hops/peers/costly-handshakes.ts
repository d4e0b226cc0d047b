import { X509Certificate } from 'node:crypto'
import { type DetailedPeerCertificate, TLSSocket } from 'node:tls'
import type { buildConnector } from 'undici'
import { chainOf, whyCostly } from '../../keys/certificates/chain-cost.js'
import { lookAtCertificate } from '../../keys/certificates/shown-certificate.js'
import { boundServerFlight, CostlyHandshakeError } from '../../network/tls/server-flight.js'
import { WrongCertificateError } from '../connection-errors.js'

/**
 * The bytes of a neighbour's certificates beyond which they are refused. Web servers in front of a relay show some KiB:
 * their own, which may have many names, and one or two of a CA.
 */
const MAX_PEER_CHAIN_BYTES = 16_384
/** How long a neighbour is not connected to after a costly handshake, which may have taken a tenth of a second. */
const COSTLY_PEER_REST_MS = 10_000

/**
 * Bounds the time that one neighbour takes by the certificates that it shows: OpenSSL verifies all of them, also those
 * behind a pinned one. After a costly handshake the others under way end, and no other one begins for a while.
 * @param onCostly called with what is costly, for a user
 */
export function withoutCostlyHandshakes(
  connect: buildConnector.connector,
  onCostly: (why: string) => void
): buildConnector.connector {
  const underWay = new Set<TLSSocket>()
  let rest: { readonly untilMs: number; readonly error: Error } | undefined

  function refuse(shown: string): Error {
    const error = new WrongCertificateError(describeCostly(shown))
    rest = { untilMs: performance.now() + COSTLY_PEER_REST_MS, error }
    onCostly(shown)
    // At once: what they sent may be there as well, and TLS would verify it next.
    for (const other of underWay) other.destroy(error)
    return error
  }

  return (target, callback) => {
    if (rest !== undefined && performance.now() < rest.untilMs) return callback(rest.error, null)
    let linked: readonly Buffer[] = []
    // It returns the socket, of which its type says nothing.
    const opened: unknown = connect(target, (error, socket) => {
      if (opened instanceof TLSSocket) underWay.delete(opened)
      if (error instanceof WrongCertificateError && error === rest?.error) return callback(error, null) // it ended with another
      const shown = error === null ? costlyOn(socket) : costlyIn(error, linked)
      if (shown !== undefined) {
        socket?.destroy()
        callback(refuse(shown), null)
      } else if (error === null) callback(null, socket)
      else callback(error, null)
    })
    if (!(opened instanceof TLSSocket)) return
    boundServerFlight(opened)
    underWay.add(opened)
    opened.once('close', () => underWay.delete(opened))
    // Verified, and not yet accepted: Node shows no certificate of a connection that failed.
    opened.prependOnceListener('secure', () => {
      linked = linkedOn(opened)
    })
  }
}

/**
 * Ends a connection to a server whose certificates are costly, whether or not they are accepted, and whatever it answers: it
 * may ask for connections.
 * @param connection in the turn in which it was made
 * @returns gives what was costly about a connection that has failed
 */
export function endIfCostly(connection: TLSSocket): () => CostlyHandshakeError | undefined {
  let found: CostlyHandshakeError | undefined
  boundServerFlight(connection)
  connection.prependOnceListener('secure', () => {
    const shown = costlyAmong(linkedOn(connection))
    if (shown === undefined) return
    found = new CostlyHandshakeError(shown)
    process.nextTick(() => connection.destroy(found)) // TLS is still at it; it may end it first, as one of nobody
  })
  return () => found
}

/** @param shown what is costly */
export function describeCostly(shown: string): string {
  return `it shows ${shown}, too costly to verify; it is to show its own certificate, and few others behind it`
}

/** Finds what is costly of a neighbour's certificates. @param leaf as `lookAtCertificate` gives it at the first look */
export function costlyBehind(leaf: X509Certificate): string | undefined {
  return whyCostly(chainOf(leaf), MAX_PEER_CHAIN_BYTES)
}

function costlyOn(socket: unknown): string | undefined {
  const leaf = socket instanceof TLSSocket ? lookAtCertificate(socket) : undefined
  return leaf === undefined ? undefined : costlyBehind(leaf)
}

/** The certificates of which each issued the one before. It leaves the first look, which gives all of them, to others. */
function linkedOn(socket: TLSSocket): readonly Buffer[] {
  const seen = new Set<DetailedPeerCertificate>()
  let next: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true)
  // The last one is its own issuer, and an empty object stands for none.
  for (; next?.raw !== undefined && !seen.has(next); next = next.issuerCertificate) seen.add(next)
  return [...seen].map(({ raw }) => raw)
}

function costlyIn(error: Error, linked: readonly Buffer[]): string | undefined {
  return error instanceof CostlyHandshakeError ? error.shown : costlyAmong(linked)
}

function costlyAmong(shown: readonly Buffer[]): string | undefined {
  try {
    return whyCostly(
      shown.map(raw => new X509Certificate(raw)),
      MAX_PEER_CHAIN_BYTES
    )
  } catch {
    return 'certificates that cannot be read'
  }
}
