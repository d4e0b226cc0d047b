import { TLSSocket } from 'node:tls'
import { buildConnector } from 'undici'
import { throughProxy } from '../values/network/proxy-tunnel.js'
import { WrongCertificateError } from './connection-errors.js'
import { type ClientCertificate, fingerprint, type PeerTrust, verification } from './peer-trust.js'

export interface PeerConnectorOptions {
  readonly trust: PeerTrust
  readonly clientCertificate: ClientCertificate | undefined
  /** URL of the HTTP proxy that leads there. */
  readonly proxy?: string | undefined
  /** TCP and TLS together; the way through a proxy besides. */
  readonly connectTimeoutMs: number
}

/**
 * Opens connections that are handed over only once the neighbour proved who it is. TLS 1.3 only. Sessions are never
 * resumed, so that each connection shows a certificate, and it is checked again.
 */
export function createPeerConnector(options: PeerConnectorOptions): buildConnector.connector {
  const { trust, proxy, clientCertificate, connectTimeoutMs } = options
  const direct = buildConnector({
    minVersion: 'TLSv1.3',
    timeout: connectTimeoutMs,
    maxCachedSessions: 0,
    ...(clientCertificate ?? {}),
    ...verification(trust)
  })
  const connect = proxy === undefined ? direct : throughProxy(direct, new URL(proxy), connectTimeoutMs)
  if (trust.mode !== 'cert_pinning') return connect
  const pinned = new Set(trust.pins.map(fingerprint))
  return (target, callback) => {
    connect(target, (error, socket) => {
      if (error !== null) return callback(error, null)
      const refusal = refusalOf(socket, pinned, trust.pinsFile)
      if (refusal === undefined) return callback(null, socket)
      socket.destroy()
      callback(refusal, null)
    })
  }
}

/** Agents' certificates are CA:TRUE, so one that is pinned could have signed the one presented: only itself counts. */
function refusalOf(socket: object, pinned: ReadonlySet<string>, pinsFile: string): Error | undefined {
  const leaf = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined
  if (leaf !== undefined && pinned.has(fingerprint(leaf.raw))) return undefined
  const shown = leaf === undefined ? 'no certificate' : `a certificate (sha256:${fingerprint(leaf.raw)})`
  return new WrongCertificateError(`it presents ${shown} that is not one of those known for it in ${pinsFile}`)
}
