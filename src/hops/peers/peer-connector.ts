import { buildConnector } from 'undici'
import { fingerprint } from '../../keys/certificates/fingerprint.js'
import type { Revocations } from '../../keys/certificates/revocations.js'
import { holdToCertificate } from '../../keys/certificates/shown-certificate.js'
import { throughProxy } from '../../network/proxy-tunnel.js'
import { WrongCertificateError } from '../connection-errors.js'
import { withoutCostlyHandshakes } from './costly-handshakes.js'
import { type ClientCertificate, type PeerTrust, verification } from './peer-trust.js'

export interface PeerConnectorOptions {
  readonly trust: PeerTrust
  readonly clientCertificate: ClientCertificate | undefined
  readonly revocations: Revocations
  /** URL of the HTTP proxy that leads there. */
  readonly proxy?: string | undefined
  /** TCP and TLS together; the way through a proxy besides. */
  readonly connectTimeoutMs: number
  /** Called when the neighbour showed certificates that are costly to verify, with what is costly. */
  readonly onCostly: (why: string) => void
}

/**
 * Opens connections that are handed over only once the neighbour proved who it is. TLS 1.3 only. Sessions are never
 * resumed, so that each connection shows a certificate, and it is checked again. One whose certificate is revoked later is
 * cut.
 */
export function createPeerConnector(options: PeerConnectorOptions): buildConnector.connector {
  const { trust, proxy, clientCertificate, revocations, connectTimeoutMs, onCostly } = options
  const openTls = buildConnector({
    minVersion: 'TLSv1.3',
    timeout: connectTimeoutMs,
    maxCachedSessions: 0,
    ...(clientCertificate ?? {}),
    ...verification(trust)
  })
  const direct = withoutCostlyHandshakes(openTls, onCostly)
  const connect = proxy === undefined ? direct : throughProxy(direct, new URL(proxy), connectTimeoutMs)
  const isPinned = trust.mode === 'cert_pinning'
  const rules = { pins: isPinned ? new Set(trust.pins.map(fingerprint)) : undefined, revocations }
  const pinsFile = isPinned ? trust.pinsFile : ''
  const words = {
    notPinned: (shown: string | undefined) => {
      const what = shown === undefined ? 'no certificate' : `a certificate (sha256:${shown})`
      return `it presents ${what} that is not one of those known for it in ${pinsFile}`
    },
    error: (why: string) => new WrongCertificateError(why)
  }
  return (target, callback) => {
    connect(target, (error, socket) => {
      if (error !== null) return callback(error, null)
      const refused = holdToCertificate(socket, rules, words)
      if (refused !== undefined) return callback(refused, null)
      callback(null, socket)
    })
  }
}
