import { connectionErrorCode, describeConnectionFailure } from '../network/connection-failure.js'

/** A request got no connection in time. */
export class StartTimeoutError extends Error {
  override name = 'StartTimeoutError'

  constructor(limitMs: number) {
    super(`no connection within ${limitMs} ms: it does not answer, or all connections to it are in use`)
  }
}

/** The error codes of a lost connection: undici's (a socket's end, a pool that is being closed) and the system's. */
const LOST_CONNECTION_CODES = new Set(['UND_ERR_SOCKET', 'UND_ERR_CLOSED', 'UND_ERR_DESTROYED', 'ECONNRESET', 'EPIPE'])

/** The neighbour's certificate is not the one that it should have. */
export class WrongCertificateError extends Error {
  override name = 'WrongCertificateError'
}

/** Describes what went wrong, in one line for a user. */
export function describeFailure(error: unknown): string {
  if (error instanceof WrongCertificateError || error instanceof StartTimeoutError) return error.message
  return describeConnectionFailure(error)
}

/**
 * Whether a request of which nothing was sent may fare better at once: a connection that was lost, as happens to those
 * kept open, or a pool that was being renewed. Not where the neighbour is plainly away or is someone else.
 */
export function isWorthRetrying(error: unknown): boolean {
  return LOST_CONNECTION_CODES.has(connectionErrorCode(error))
}
