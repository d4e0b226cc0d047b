import { TLSSocket } from 'node:tls'
import { buildConnector } from 'undici'
import { fingerprint } from '../../values/keys/fingerprint.js'
import { throughProxy } from '../../values/network/proxy-tunnel.js'
import { WrongCertificateError } from '../connection-errors.js'
import type { Revocations } from './peer-revocations.js'
import { type ClientCertificate, type PeerTrust, verification } from './peer-trust.js'

export interface PeerConnectorOptions {
  readonly trust: PeerTrust
  readonly clientCertificate: ClientCertificate | undefined
  readonly revocations: Revocations
  /** URL of the HTTP proxy that leads there. */
  readonly proxy?: string | undefined
  /** TCP and TLS together; the way through a proxy besides. */
  readonly connectTimeoutMs: number
}

/**
 * Opens connections that are handed over only once the neighbour proved who it is. TLS 1.3 only. Sessions are never
 * resumed, so that each connection shows a certificate, and it is checked again. One whose certificate is revoked later is
 * cut.
 */
export function createPeerConnector(options: PeerConnectorOptions): buildConnector.connector {
  const { trust, proxy, clientCertificate, revocations, connectTimeoutMs } = options
  const direct = buildConnector({
    minVersion: 'TLSv1.3',
    timeout: connectTimeoutMs,
    maxCachedSessions: 0,
    ...(clientCertificate ?? {}),
    ...verification(trust)
  })
  const connect = proxy === undefined ? direct : throughProxy(direct, new URL(proxy), connectTimeoutMs)
  const pinned = trust.mode === 'cert_pinning' ? new Set(trust.pins.map(fingerprint)) : undefined
  const pinsFile = trust.mode === 'cert_pinning' ? trust.pinsFile : ''
  return (target, callback) => {
    connect(target, (error, socket) => {
      if (error !== null) return callback(error, null)
      const shown = shownBy(socket)
      const refusal = notPinned(shown, pinned, pinsFile) ?? revoked(shown, revocations)
      if (refusal !== undefined) {
        socket.destroy()
        return callback(refusal, null)
      }
      if (shown !== undefined) {
        const unwatch = revocations.watch(shown, why => socket.destroy(new WrongCertificateError(why)))
        socket.once('close', unwatch)
      }
      callback(null, socket)
    })
  }
}

/** SHA-256 of the certificate that came with a connection. */
function shownBy(socket: object): string | undefined {
  const leaf = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined
  return leaf === undefined ? undefined : fingerprint(leaf.raw)
}

function revoked(shown: string | undefined, revocations: Revocations): Error | undefined {
  const why = shown === undefined ? undefined : revocations.whyRevoked(shown)
  return why === undefined ? undefined : new WrongCertificateError(why)
}

/** Agents' certificates are CA:TRUE, so one that is pinned could have signed the one presented: only itself counts. */
function notPinned(
  shown: string | undefined,
  pinned: ReadonlySet<string> | undefined,
  pinsFile: string
): Error | undefined {
  if (pinned === undefined || (shown !== undefined && pinned.has(shown))) return undefined
  const what = shown === undefined ? 'no certificate' : `a certificate (sha256:${shown})`
  return new WrongCertificateError(`it presents ${what} that is not one of those known for it in ${pinsFile}`)
}
