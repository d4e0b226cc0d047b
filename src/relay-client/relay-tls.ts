import { type ConnectionOptions, TLSSocket } from 'node:tls'
import { buildConnector } from 'undici'
import type { Revocations } from '../keys/certificates/revocations.js'
import { holdToCertificate } from '../keys/certificates/shown-certificate.js'
import { parseKeyHash } from '../keys/signatures/key-hash.js'
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

const CONNECT_TIMEOUT_MS = 10_000

/**
 * Opens connections to the relay, at `socketPath` if there is one, TLS 1.3 for https. With a pin nothing but the certificate itself counts; else its
 * issuer (`ca`, where a certificate may also stand for itself, or the system's) and its host name do.
 */
export function createServerConnector(tls: ServerTls, pinName: string, socketPath?: string): buildConnector.connector {
  const pins = tls.pin === undefined ? undefined : new Set([tls.pin].flat().map(pin => readPin(pinName, pin)))
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
  const words = {
    notPinned: (shown: string | undefined) =>
      `the relay's certificate is not the one in ${pinName}, its SHA-256 is ${shown}`,
    error: (why: string) => new Error(why)
  }
  return (target, callback) => {
    connect(target, (error, socket) => {
      if (error !== null) return callback(error, null)
      if (!(socket instanceof TLSSocket)) return callback(null, socket)
      const refused = holdToCertificate(socket, { pins, revocations }, words)
      if (refused !== undefined) return callback(refused, null)
      callback(null, socket)
    })
  }
}

/** @returns the SHA-256 of a certificate, lower-case hex */
function readPin(name: string, text: string): string {
  const withPrefix = /^sha256[:/]/.test(text) ? text : `sha256:${text.replaceAll(':', '')}`
  const parsed = parseKeyHash(withPrefix)
  if (parsed?.algorithm !== 'sha256') {
    throw new InputError(
      `${name} should be a certificate's SHA-256, in hex or as sha256//<base64>, not ${JSON.stringify(text)}`
    )
  }
  return parsed.hash.toString('hex')
}
