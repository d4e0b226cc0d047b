import { createHash, timingSafeEqual } from 'node:crypto'
import { type ConnectionOptions, TLSSocket } from 'node:tls'
import { buildConnector } from 'undici'
import { parseKeyHash } from '../values/keys/key-hash.js'
import { InputError } from './client-error.js'

export interface ServerTls {
  /** PEM, all three. */
  readonly ca: string | undefined
  readonly cert: string | undefined
  readonly key: string | undefined
  /** SHA-256 of the relay's certificate: hex with or without colons, `sha256:<hex>` or `sha256//<base64>`; one of several. */
  readonly pin: string | readonly string[] | undefined
  /** The check of the server's identity where there is no pin, in place of the host name alone. */
  readonly checkServerIdentity?: ConnectionOptions['checkServerIdentity']
  readonly revocations?: Revocations
}

/** The known certificates that were revoked before their end. @param fingerprint SHA-256 of one, lower-case hex */
interface Revocations {
  /** Why it is not to be believed, whoever issued it; undefined: nothing speaks against it. */
  whyRevoked(fingerprint: string): string | undefined
  /** Calls `end` should it be revoked later. @returns a function that ends this */
  watch(fingerprint: string, end: (why: string) => void): () => void
}

const CONNECT_TIMEOUT_MS = 10_000

/**
 * Opens connections to the relay, at `socketPath` if there is one, TLS 1.3 for https. With a pin nothing but the certificate itself counts; else its
 * issuer (`ca`, where a certificate may also stand for itself, or the system's) and its host name do.
 */
export function createServerConnector(tls: ServerTls, pinName: string, socketPath?: string): buildConnector.connector {
  const pins = tls.pin === undefined ? undefined : [tls.pin].flat().map(pin => readPin(pinName, pin))
  const connect = buildConnector({
    minVersion: 'TLSv1.3',
    ...(socketPath === undefined ? {} : { socketPath }),
    timeout: CONNECT_TIMEOUT_MS,
    maxCachedSessions: 0,
    ...(tls.cert === undefined ? {} : { cert: tls.cert }),
    ...(tls.key === undefined ? {} : { key: tls.key }),
    ...(tls.ca === undefined ? {} : { ca: tls.ca, allowPartialTrustChain: true }),
    ...(tls.checkServerIdentity === undefined ? {} : { checkServerIdentity: tls.checkServerIdentity }),
    ...(pins === undefined ? {} : { rejectUnauthorized: false })
  })
  const { revocations } = tls
  if (pins === undefined && revocations === undefined) return connect
  return (target, callback) => {
    connect(target, (error, socket) => {
      if (error !== null) return callback(error, null)
      if (!(socket instanceof TLSSocket)) return callback(null, socket)
      const refusal = notPinned(socket, pins, pinName) ?? endIfRevoked(socket, revocations)
      if (refusal === undefined) return callback(null, socket)
      socket.destroy()
      callback(refusal, null)
    })
  }
}

function notPinned(socket: TLSSocket, pins: readonly Buffer[] | undefined, pinName: string): Error | undefined {
  if (pins === undefined || hasCertificate(socket, pins)) return undefined
  const shown = socket.getPeerCertificate().fingerprint256
  return new Error(`the relay's certificate is not the one in ${pinName}, its SHA-256 is ${shown}`)
}

/** @returns why it is to end now; undefined: it ends when its certificate is revoked */
function endIfRevoked(socket: TLSSocket, revocations: Revocations | undefined): Error | undefined {
  const leaf = socket.getPeerX509Certificate()
  if (revocations === undefined || leaf === undefined) return undefined
  const shown = createHash('sha256').update(leaf.raw).digest('hex')
  const why = revocations.whyRevoked(shown)
  if (why !== undefined) return new Error(why)
  socket.once(
    'close',
    revocations.watch(shown, later => socket.destroy(new Error(later)))
  )
  return undefined
}

function hasCertificate(socket: TLSSocket, pins: readonly Buffer[]): boolean {
  const shown = Buffer.from(socket.getPeerCertificate().fingerprint256.replaceAll(':', ''), 'hex')
  return pins.some(pin => shown.length === pin.length && timingSafeEqual(shown, pin))
}

function readPin(name: string, text: string): Buffer {
  const withPrefix = /^sha256[:/]/.test(text) ? text : `sha256:${text.replaceAll(':', '')}`
  const parsed = parseKeyHash(withPrefix)
  if (parsed?.algorithm !== 'sha256') {
    throw new InputError(
      `${name} should be a certificate's SHA-256, in hex or as sha256//<base64>, not ${JSON.stringify(text)}`
    )
  }
  return parsed.hash
}
