import type { Socket } from 'node:net'
import { type ConnectionOptions, TLSSocket } from 'node:tls'
import { costlyBehind, describeCostly } from '../../hops/peers/costly-handshakes.js'
import type { Revocations } from '../../keys/certificates/revocations.js'
import { lookAtCertificate, whyRefused } from '../../keys/certificates/shown-certificate.js'
import { describeConnectionFailure } from '../../network/connection-failure.js'
import { CostlyHandshakeError } from '../../network/tls/server-flight.js'
import { type SeenUpper, seenUpper } from '../wire/seen-upper.js'
import type { Transport } from '../wire/transport.js'

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
 * Looks at the certificate that the upper side showed on a connection.
 * @throws {CostlyUpperError}
 * @throws {Error} whose message is for a user, when it is not accepted
 */
export function lookAtUpper(connection: Socket, upper: Upper): SeenUpper {
  const leaf = connection instanceof TLSSocket ? lookAtCertificate(connection) : undefined
  const costly = leaf === undefined ? undefined : costlyBehind(leaf)
  if (costly !== undefined) throw tooCostly(upper, costly)
  const seen = seenUpper(leaf?.raw, upper.pins !== undefined)
  const why = whyRefused(
    seen.fingerprint,
    upper,
    () => `it presents a certificate (sha256:${seen.fingerprint}) that is not the one of the policy server`
  )
  if (why !== undefined) throw new Error(`${upper.url}: ${why}`)
  return seen
}

/** The error of a connection that failed, for a user. */
export function connectionFailure(upper: Upper, error: Error): Error {
  if (error instanceof CostlyHandshakeError) return tooCostly(upper, error.shown)
  return new Error(`${upper.url}: ${describeConnectionFailure(error)}`, { cause: error })
}

function tooCostly(upper: Upper, shown: string): CostlyUpperError {
  return new CostlyUpperError(`${upper.url}: ${describeCostly(shown)}`)
}
