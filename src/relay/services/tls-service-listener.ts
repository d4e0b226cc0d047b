import type { Server } from 'node:net'
import { createServer, type SecureContextOptions, type TLSSocket } from 'node:tls'
import type { Config } from '../../config/config.js'
import type { ListenerConnections } from '../../services/entry/service-listener.js'
import type { NeighbourFacts } from '../../tree/known-certificates.js'
import { LogLimit } from '../../values/logging/log-limit.js'
import type { Logger } from '../../values/logging/logger.js'
import { createGate } from '../listening/gated-tls.js'
import { rawSocketOf } from '../listening/raw-socket.js'

/** A listener for callers of services, over TLS. */
export interface TlsServiceListener {
  /** Listens, and is closed. */
  readonly server: Server
  /** Takes another context for new connections. */
  renew(context: SecureContextOptions): void
}

export function createTlsServiceListener(
  connections: ListenerConnections,
  context: SecureContextOptions,
  config: Config,
  facts: NeighbourFacts,
  logger: Pick<Logger, 'info' | 'warn' | 'error'>
): TlsServiceListener {
  const tls = createServer({
    ...context,
    ALPNProtocols: ['h2', 'http/1.1'],
    handshakeTimeout: config.limits.headersTimeoutMs
  })
  tls.on('secureConnection', (socket: TLSSocket) => connections.serveTls(socket, rawSocketOf(socket)))
  tls.on('tlsClientError', (_error: Error, socket: TLSSocket) => socket.destroy())
  const server = createGate(tls, config, facts, new LogLimit(logger))
  server.prependListener('connection', socket => connections.enter(socket))
  return { server, renew: renewed => tls.setSecureContext(renewed) }
}
