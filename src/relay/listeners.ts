import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:https'
import type { Server as TcpServer } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { answerClientError, serverOptions } from '../api/server-options.js'
import type { Config, ListenAddress } from '../config/config.js'
import { withoutByteOrderMark } from '../values/byte-order-mark.js'
import { MAX_HEADERS_OFF } from '../values/max-headers.js'
import { createHandshakeGate } from './handshake-gate.js'
import { openLocalSocket } from './local-socket.js'
import { serveUpgrades, type Upgrades } from './upgrades.js'

export interface Listeners {
  /** The addresses as bound, for the log. */
  readonly addresses: readonly string[]
  /** Reads certificate and key again, for new connections. @throws {Error} when they do not fit; the old ones stay */
  renewCertificate(config: Config): void
  /** Takes no further connections; resolves when all requests under way are answered. */
  drain(): Promise<void>
  /** Ends what is left. */
  cut(): void
}

const LISTEN_ERRORS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program listens there already (EADDRINUSE)',
  EADDRNOTAVAIL: 'this machine does not have that address (EADDRNOTAVAIL)',
  EACCES: 'ports below 1024 need root, or the capability CAP_NET_BIND_SERVICE (EACCES)'
}

/** Opens `general.listen` (plain HTTP) and `general.https_listen` (TLS 1.3): the same routes answer on both. */
export async function openListeners(
  app: FastifyInstance,
  config: Config,
  upgrades: Upgrades | undefined,
  localSockets: WeakSet<object>
): Promise<Listeners> {
  const { listen, httpsListen, maxConnections } = config.general
  await app.ready()
  app.server.maxConnections = maxConnections
  answerExpectations(app, app.server)
  serveUpgrades(app.server, 'connection', upgrades)
  const tls = httpsListen === undefined ? undefined : createTlsServer(app, config)
  const gate =
    tls === undefined ? undefined : createHandshakeGate(tls, { helloLimitMs: config.limits.headersTimeoutMs })
  const addresses = [await bound('general.listen', listen, app.listen({ host: listen.host, port: listen.port }))]
  if (tls !== undefined && gate !== undefined && httpsListen !== undefined) {
    gate.maxConnections = maxConnections
    serveUpgrades(tls, 'secureConnection', upgrades)
    try {
      await bound('general.https_listen', httpsListen, bind(gate, httpsListen))
    } catch (error) {
      await app.close() // or what listens already would keep the process from ending
      throw error
    }
    addresses.push(`https://${show(gate.address())}`)
  }
  const { socket } = config.general
  const local =
    socket === undefined
      ? undefined
      : await openLocalSocket(app, config, socket, connection => void localSockets.add(connection)).catch(
          async (error: unknown) => {
            gate?.close()
            await app.close() // as above
            throw error
          }
        )
  if (socket !== undefined) addresses.push(`unix:${socket}`)
  return {
    addresses,
    renewCertificate: renewed => tls?.setSecureContext(secureContext(renewed)),
    drain: async () => {
      const localClosed = local === undefined ? undefined : closed(local, local)
      await Promise.all([
        app.close(),
        localClosed,
        tls === undefined || gate === undefined ? undefined : closed(gate, tls)
      ])
    },
    cut: () => {
      app.server.closeAllConnections()
      tls?.closeAllConnections()
      local?.closeAllConnections()
    }
  }
}

function createTlsServer(app: FastifyInstance, config: Config): Server {
  const server = createServer(
    {
      ...serverOptions(config.limits),
      ...secureContext(config),
      minVersion: 'TLSv1.3',
      handshakeTimeout: config.limits.headersTimeoutMs,
      requestCert: true,
      rejectUnauthorized: false // who it is, src/api/callers.ts decides: agents' certificates have no CA
    },
    (request, response) => app.routing(request, response)
  )
  server.maxHeadersCount = MAX_HEADERS_OFF
  answerExpectations(app, server)
  server.on('clientError', answerClientError)
  return server
}

function secureContext(config: Config): { cert: string; key: string } {
  const { httpsCertificateFile, httpsKeyFile } = config.general
  if (httpsCertificateFile === undefined || httpsKeyFile === undefined) {
    throw new Error('general.https_listen needs general.https_certificate_file and general.https_key_file')
  }
  const read = (file: string) => withoutByteOrderMark(readFileSync(file, 'utf8'))
  return { cert: read(httpsCertificateFile), key: read(httpsKeyFile) }
}

/** `Expect: 100-continue` goes to the routes, which say `continue` once all that comes before the body is in order. */
function answerExpectations(app: FastifyInstance, server: Server | FastifyInstance['server']): void {
  server.on('checkContinue', (request, response) => app.routing(request, response))
}

/** @throws {Error} that names the setting, when it cannot listen there */
async function bound<T>(setting: string, { host, port }: ListenAddress, listening: Promise<T>): Promise<T> {
  try {
    return await listening
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    const why = LISTEN_ERRORS[code] ?? (error instanceof Error ? error.message : String(error))
    throw new Error(`${setting}: cannot listen on ${host}:${port}: ${why}`, { cause: error })
  }
}

function bind(server: TcpServer, { host, port }: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

/** Resolves when the last connection has gone. */
function closed(gate: TcpServer, tls: Pick<Server, 'closeIdleConnections'>): Promise<void> {
  return new Promise(resolve => {
    gate.close(() => resolve())
    tls.closeIdleConnections()
  })
}

function show(address: ReturnType<TcpServer['address']>): string {
  if (address === null || typeof address === 'string') return String(address)
  return address.family === 'IPv6' ? `[${address.address}]:${address.port}` : `${address.address}:${address.port}`
}
