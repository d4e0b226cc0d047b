import { errorCode, errorMessage } from '../values/failures/system-error.js'

/**
 * The names that the system, Node, undici and OpenSSL have for a failed connection, in the words of someone who runs
 * relays.
 */
const TEXTS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused: nothing listens there',
  ECONNRESET: 'it closed the connection',
  EPIPE: 'it closed the connection',
  ENOTFOUND: 'its host name cannot be resolved: check the name, and the DNS of this machine',
  EAI_AGAIN: 'its host name cannot be resolved now: DNS does not answer',
  EACCES: 'permission denied: this user may not open it',
  EHOSTUNREACH: 'no route to it',
  ENETUNREACH: 'no route to it',
  EADDRNOTAVAIL: 'this machine has no address to reach it from',
  EMFILE: 'this process has too many files and connections open: raise its limit (LimitNOFILE, ulimit -n)',
  ENFILE: 'this machine has too many files open: raise fs.file-max',
  ETIMEDOUT: 'it does not answer',
  UND_ERR_CONNECT_TIMEOUT: 'it does not answer: no connection within the time limit',
  UND_ERR_HEADERS_TIMEOUT: 'it was silent for too long',
  UND_ERR_BODY_TIMEOUT: 'it was silent for too long within its answer',
  UND_ERR_SOCKET: 'it closed the connection',
  UND_ERR_REQ_CONTENT_LENGTH_MISMATCH: 'the body to be sent does not have the length that was said',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'its answer does not have the length that it said',
  UND_ERR_HEADERS_OVERFLOW: 'the headers of its answer are too long',
  UND_ERR_DESTROYED: 'this relay is stopping',
  UND_ERR_CLOSED: 'this relay is stopping',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet: check the clock of this machine, and of that one',
  CERT_HAS_EXPIRED: 'its certificate has ended: renew it there, or check the clock of this machine',
  CERT_REVOKED: 'its certificate was revoked',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS: this is a port for plain HTTP',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'it does not speak TLS: this is a port for plain HTTP',
  ERR_SSL_HTTP_REQUEST: 'plain HTTP came to a port for TLS',
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'it does not speak TLS 1.3',
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: 'it does not speak TLS 1.3',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: 'it asks for a certificate of ours, and got none',
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: 'it does not accept our certificate: it does not know who issued it',
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: 'it does not accept our certificate',
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN: 'it does not accept our certificate',
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: 'it says that our certificate has ended: renew it, or check the clocks',
  ERR_SSL_KEY_VALUES_MISMATCH: 'our certificate and our key do not belong together'
}

/** The codes of `tls` for a chain that leads to nobody who is trusted. */
const UNTRUSTED = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_UNTRUSTED'
])
const OTHER_NAME = 'ERR_TLS_CERT_ALTNAME_INVALID'
const MAX_NAMES_LENGTH = 300

/**
 * Describes the failure of a connection and its remedy, in one line for a user, followed by the code that the system
 * has for it. Wrapped errors (undici, several addresses of a host) are looked into.
 */
export function describeConnectionFailure(given: unknown): string {
  const error = innermost(given)
  const message = errorMessage(error)
  const fault = sslFaultIn(message)
  const code = fault === undefined ? connectionErrorCode(error) : sslCode(fault)
  if (isNamed(error, 'HTTPParserError') || code.startsWith('HPE_')) {
    return `what it sends is not HTTP: is this a port for TLS, or of another program? (${message})`
  }
  if (isNamed(error, 'TimeoutError')) return 'it does not answer within the time limit'
  const known = TEXTS[code]
  if (known !== undefined) return `${known} (${code})`
  if (isUntrustedCertificate(error)) return `its certificate is issued by nobody whom this machine trusts (${code})`
  if (code === OTHER_NAME) return `its certificate is for other names${namesIn(error)} (${code})`
  if (code.startsWith('ERR_SSL_')) return `TLS failed: ${fault ?? sslReason(error, message)} (${code})`
  if (/CERT/.test(code)) return `its certificate is not accepted: ${message} (${code})`
  return code === '' || message.includes(code) ? message : `${message} (${code})`
}

/** Whether the peer's certificate leads to no issuer that is trusted. */
export function isUntrustedCertificate(error: unknown): boolean {
  return UNTRUSTED.has(connectionErrorCode(innermost(error)))
}

/** The `code` of an error, or an empty text. */
export function connectionErrorCode(error: unknown): string {
  return errorCode(error) ?? ''
}

function innermost(error: unknown): unknown {
  if (error instanceof AggregateError && error.errors.length > 0) return innermost(error.errors[0])
  return error instanceof Error && error.cause instanceof Error ? innermost(error.cause) : error
}

function isNamed(error: unknown, name: string): boolean {
  return error instanceof Error && error.name === name
}

/**
 * The reason in OpenSSL's `error:0A00010B:SSL routines:function:wrong version number:file:line:`. Such lines are the
 * message of a failed write (EPROTO), and of `tls` when it sees no reason in them: the first line is what went wrong
 * first.
 */
function sslFaultIn(message: string): string | undefined {
  return /\berror:[0-9A-F]{8}:[^:\n]*:[^:\n]*:([^:\n]+)/.exec(message)?.[1]?.trim()
}

/** The code as Node names it where it gives one: `ERR_SSL_WRONG_VERSION_NUMBER`. */
function sslCode(fault: string): string {
  return `ERR_SSL_${fault.toUpperCase().replace(/[^A-Z0-9]+/g, '_')}`
}

function sslReason(error: unknown, message: string): string {
  return error instanceof Error && 'reason' in error && typeof error.reason === 'string' ? error.reason : message
}

/** `: DNS:a.example.com, …`, where Node says which. */
function namesIn(error: unknown): string {
  const certificate = error instanceof Error && 'cert' in error ? error.cert : undefined
  const names =
    typeof certificate === 'object' && certificate !== null && 'subjectaltname' in certificate
      ? certificate.subjectaltname
      : undefined
  return typeof names === 'string' ? ` than the one it was asked by: ${hostNamesOf(names)}` : ''
}

/** The names and addresses of the text that Node makes of a certificate's; nobody asks by the others, such as URIs. */
function hostNamesOf(subjectAltName: string): string {
  const names = subjectAltName.split(', ').filter(name => /^(?:DNS|IP Address):/.test(name))
  return names.length === 0 ? 'it has none' : names.join(', ').slice(0, MAX_NAMES_LENGTH)
}
