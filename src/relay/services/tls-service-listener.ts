import type { Server } from 'node:net'
import { createServer, type SecureContextOptions, type TLSSocket } from 'node:tls'
import type { Config } from '../../config/config.js'
import type { ListenerConnections } from '../../services/entry/service-listener.js'
import type { NeighbourFacts } from '../../tree/known-certificates.js'
import { LogLimit } from '../../values/logging/log-limit.js'
import type { Logger } from '../../values/logging/logger.js'
import { createGate } from '../listening/gated-tls.js'
import { rawSocketOf } from '../listening/raw-socket.js'
import type { CallerCertificates } from './caller-certificates.js'

/** A listener for callers of services, over TLS. */
export interface TlsServiceListener {
  /** Listens, and is closed. */
  readonly server: Server
  /** Takes another context for new connections. */
  renew(context: SecureContextOptions): void
}

export interface TlsServiceListenerOptions extends NeighbourFacts {
  /** The certificates of callers. */
  readonly callers: CallerCertificates
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>
}

/** Creates a listener that asks for a certificate of the tree's CA, and takes callers without one all the same. */
export function createTlsServiceListener(
  connections: ListenerConnections,
  context: SecureContextOptions,
  config: Config,
  options: TlsServiceListenerOptions
): TlsServiceListener {
  const { callers, logger } = options
  const withAuthority = (own: SecureContextOptions): SecureContextOptions => {
    const ca = callers.authority()
    return ca === undefined ? own : { ...own, ca } // named in the handshake, so that browsers ask nobody else for one
  }
  const tls = createServer({
    ...withAuthority(context),
    ALPNProtocols: ['h2', 'http/1.1'],
    handshakeTimeout: config.limits.headersTimeoutMs,
    requestCert: callers.authority() !== undefined,
    rejectUnauthorized: false
  })
  tls.on('secureConnection', (socket: TLSSocket) => connections.serveTls(socket, rawSocketOf(socket)))
  tls.on('tlsClientError', (_error: Error, socket: TLSSocket) => socket.destroy())
  const server = createGate(tls, config, options, new LogLimit(logger))
  server.prependListener('connection', socket => connections.enter(socket))
  return { server, renew: renewed => tls.setSecureContext(withAuthority(renewed)) }
}
