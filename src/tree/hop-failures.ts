/** A request got no connection in time. */
export class StartTimeoutError extends Error {
  override name = 'StartTimeoutError'

  constructor(limitMs: number) {
    super(`no connection within ${limitMs} ms: it does not answer, or all connections to it are in use`)
  }
}

/** What is known of errors, in the words of someone who runs relays. */
const TEXTS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused: nothing listens there',
  ECONNRESET: 'it closed the connection',
  EPIPE: 'it closed the connection',
  ENOTFOUND: 'its host name cannot be resolved',
  EAI_AGAIN: 'its host name cannot be resolved now (DNS does not answer)',
  EHOSTUNREACH: 'no route to it',
  ENETUNREACH: 'no route to it',
  ETIMEDOUT: 'it does not answer',
  UND_ERR_CONNECT_TIMEOUT: 'it does not answer: no connection within the time limit',
  UND_ERR_HEADERS_TIMEOUT: 'it was silent for too long',
  UND_ERR_BODY_TIMEOUT: 'it was silent for too long within its answer',
  UND_ERR_SOCKET: 'it closed the connection',
  UND_ERR_REQ_CONTENT_LENGTH_MISMATCH: 'the body to be sent does not have the length that was said',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'its answer does not have the length that it said',
  UND_ERR_DESTROYED: 'this relay is stopping',
  UND_ERR_CLOSED: 'this relay is stopping'
}

/** Of undici (a socket's end, a pool that is being closed) and of the system. */
const LOST_CONNECTION_CODES = new Set(['UND_ERR_SOCKET', 'UND_ERR_CLOSED', 'UND_ERR_DESTROYED', 'ECONNRESET', 'EPIPE'])

const CERTIFICATE_CODES = /CERT|UNABLE_TO_VERIFY|SELF_SIGNED|ALTNAME/

/** The neighbour's certificate is not the one that it should have. */
export class WrongCertificateError extends Error {
  override name = 'WrongCertificateError'
}

/** One line, for a user: what went wrong. */
export function describeFailure(error: unknown): string {
  if (error instanceof WrongCertificateError || error instanceof StartTimeoutError) return error.message
  const code = codeOf(error)
  const message = error instanceof Error ? error.message : String(error)
  if (isNamed(error, 'HTTPParserError') || code.startsWith('HPE_')) return `what it sends is not HTTP (${message})`
  const known = TEXTS[code]
  if (known !== undefined) return `${known} (${code})`
  if (code.startsWith('ERR_SSL_')) return `TLS failed: ${sslReason(error, message)} (${code})`
  if (CERTIFICATE_CODES.test(code)) return `its certificate is not accepted: ${message} (${code})`
  return code === '' ? message : `${message} (${code})`
}

/**
 * Whether a request of which nothing was sent may fare better at once: a connection that was lost, as happens to those
 * kept open, or a pool that was being renewed. Not where the neighbour is plainly away or is someone else.
 */
export function isWorthRetrying(error: unknown): boolean {
  return LOST_CONNECTION_CODES.has(codeOf(error))
}

function isNamed(error: unknown, name: string): boolean {
  return error instanceof Error && error.name === name
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error) || !('code' in error)) return ''
  return typeof error.code === 'string' ? error.code : ''
}

function sslReason(error: unknown, message: string): string {
  return error instanceof Error && 'reason' in error && typeof error.reason === 'string' ? error.reason : message
}
