import type { Server } from 'node:net'
import { createServer, type TLSSocket } from 'node:tls'
import type { Config } from '../../config/config.js'
import type { ListenerConnections } from '../../services/entry/service-listener.js'
import type { NeighbourFacts } from '../../tree/known-certificates.js'
import { LogLimit } from '../../values/logging/log-limit.js'
import type { Logger } from '../../values/logging/logger.js'
import { createGate, secureContext } from '../listening/gated-tls.js'
import { rawSocketOf } from '../listening/raw-socket.js'

/** A listener for callers of services, with the relay's certificate. */
export interface TlsServiceListener {
  /** Listens, and is closed. */
  readonly server: Server
  /** Reads certificate and key again, for new connections. @throws {Error} when they do not fit; the old ones stay */
  renewCertificate(config: Config): void
}

const SETTING = 'services.https_listen'

export function createTlsServiceListener(
  connections: ListenerConnections,
  config: Config,
  facts: NeighbourFacts,
  logger: Pick<Logger, 'info' | 'warn' | 'error'>
): TlsServiceListener {
  const tls = createServer({
    ...secureContext(config, SETTING),
    ALPNProtocols: ['http/1.1'],
    handshakeTimeout: config.limits.headersTimeoutMs
  })
  tls.on('secureConnection', (socket: TLSSocket) => connections.serve(socket, rawSocketOf(socket), 'https'))
  tls.on('tlsClientError', (_error: Error, socket: TLSSocket) => socket.destroy())
  const server = createGate(tls, config, facts, new LogLimit(logger))
  server.prependListener('connection', socket => connections.enter(socket))
  return { server, renewCertificate: renewed => tls.setSecureContext(secureContext(renewed, SETTING)) }
}
