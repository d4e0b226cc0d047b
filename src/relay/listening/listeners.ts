import type { Server as PlainServer } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { Socket, Server as TcpServer } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { FastifyInstance } from 'fastify'
import { completeServer, createPlainServer, serverOptions } from '../../api/http-server-options.js'
import type { Config, ListenAddress } from '../../config/config.js'
import { listenFailure } from '../../network/listen-failure.js'
import { isLoopback } from '../../network/network-set.js'
import { onCostlySource } from '../../network/sources/costly-source.js'
import { type NeighbourFacts, neighbourOn } from '../../tree/known-certificates.js'
import { errorCode } from '../../values/failures/system-error.js'
import { LogLimit } from '../../values/logging/log-limit.js'
import type { Logger } from '../../values/logging/logger.js'
import type { ConnectionBudget } from './connection-budget.js'
import { shareConnections } from './connection-slots.js'
import { createGate, logClosed, secureContext } from './gated-tls.js'
import { KeptSocket } from './kept-socket.js'
import { openLocalSocket } from './local-socket.js'
import { serveUpgrades, type Upgrades } from './upgrades.js'

export interface Listeners {
  /** The addresses as bound, for the log. */
  readonly addresses: readonly string[]
  /** Reads certificate and key again, for new connections. @throws {Error} when they do not fit; the old ones stay */
  renewCertificate(config: Config): void
  /** Makes `general.socket` again where it is gone. @returns why that failed. Does not reject */
  lookAtSocket(): Promise<string | undefined>
  /** Takes no further connections; resolves when all requests under way are answered. */
  drain(): Promise<void>
  /** Ends what is left. */
  cut(): void
}

/** The addresses of `localhost` (RFC 6761, section 6.3), whether or not the machine has it in its hosts file. */
const LOCALHOST = ['127.0.0.1', '::1']

/** The part of a listener's connections that may be handshakes of links, of which nobody knows yet whose they are. */
const PART_OF_PENDING = 1 / 4

/** The facts by which a handshake is judged, and the sets in which each connection to the socket or the proxy's listener is noted. */
export interface Arrivals extends NeighbourFacts {
  readonly localSockets: WeakSet<object>
  readonly proxySockets: WeakSet<object>
  /** The one in force. */
  readonly config: () => Config
}

/** A server of ours besides Fastify's own. */
interface OpenServer {
  /** Speaks HTTP. */
  readonly http: Server | PlainServer
  /** Listens, and is closed: the server itself, or what stands before its handshakes. */
  readonly listening: TcpServer
}

/**
 * Opens `general.listen` and `general.proxy_listen` (plain HTTP), `general.https_listen` (TLS 1.3) and
 * `general.socket`: the same routes answer on all.
 */
export async function openListeners(
  app: FastifyInstance,
  config: Config,
  upgrades: Upgrades | undefined,
  { certificates, topology, localSockets, proxySockets, config: current }: Arrivals,
  connections: ConnectionBudget,
  logger: Pick<Logger, 'info' | 'warn' | 'error'>
): Promise<Listeners> {
  const { listen, proxyListen, httpsListen, socket } = config.general
  upgrades?.limitPending?.(Math.ceil(connections.max * PART_OF_PENDING))
  await app.ready()
  const isProxy = (address: string) => current().general.trustedProxies.contains(address)
  const forPlain = () => ({
    part: connections.part(),
    isKnownAddress: (address: string) => isLoopback(address) || isProxy(address)
  })
  serveUpgrades(app.server, 'connection', upgrades, shareConnections(app.server, app.server, forPlain()))
  const limited = new LogLimit(logger)
  const logCostly = (server: Server | PlainServer) =>
    onCostlySource(server, ({ source, of }) => logClosed(limited, source, of))
  logCostly(app.server)
  const opened: OpenServer[] = []
  let local: KeptSocket | undefined
  const addresses: string[] = []

  async function openPlain(
    setting: string,
    address: ListenAddress,
    note?: (socket: Socket) => void
  ): Promise<PlainServer> {
    const http = createPlainServer(config.limits, app.routing)
    const exempt = shareConnections(http, http, forPlain())
    if (note !== undefined) http.prependListener('connection', note)
    serveUpgrades(http, 'connection', upgrades, exempt)
    await bound(setting, address, bind(http, address))
    logCostly(http)
    opened.push({ http, listening: http })
    return http
  }

  async function openTls(address: ListenAddress): Promise<Server> {
    const tls = createTlsServer(app, config)
    const neighbourOf = (connection: TLSSocket) => neighbourOn(connection, { certificates, topology })
    const gate = createGate(tls, config, { certificates, topology }, limited)
    const exempt = shareConnections(gate, tls, {
      part: connections.part(),
      isKnownAddress: isProxy,
      neighbourOf
    })
    serveUpgrades(tls, 'secureConnection', upgrades, exempt)
    await bound('general.https_listen', address, bind(gate, address))
    logCostly(tls)
    opened.push({ http: tls, listening: gate })
    addresses.push(`https://${show(gate.address())}`)
    return tls
  }

  async function keepSocket(path: string): Promise<KeptSocket> {
    const note = (connection: object) => void localSockets.add(connection)
    const open = async () => {
      const made = await openLocalSocket(app, config, path, connections.certain, note)
      logCostly(made.server)
      return made
    }
    return new KeptSocket(await open(), { path, open, logger })
  }

  async function openAll(): Promise<Server | undefined> {
    const [first = listen.host, ...others] = listen.host === 'localhost' ? LOCALHOST : [listen.host]
    const { port } = listen
    addresses.push(await bound('general.listen', { host: first, port }, app.listen({ host: first, port })))
    for (const host of others) {
      await openPlain('general.listen', { host, port: portOf(app.server.address()) }).catch(unlessAbsent)
    }
    if (proxyListen !== undefined) {
      const note = (connection: Socket) => void proxySockets.add(connection)
      const server = await openPlain('general.proxy_listen', proxyListen, note)
      addresses.push(`http://${show(server.address())}`)
    }
    const tls = httpsListen === undefined ? undefined : await openTls(httpsListen)
    if (socket !== undefined) {
      local = await keepSocket(socket)
      addresses.push(`unix:${socket}`)
    }
    return tls
  }

  const close = () => Promise.all([app.close(), local?.close(), ...opened.map(closed)])
  const tls = await openAll().catch(async (error: unknown) => {
    await close() // or what listens already would keep the process from ending
    throw error
  })
  return {
    addresses,
    renewCertificate: renewed => tls?.setSecureContext(secureContext(renewed, 'general.https_listen')),
    lookAtSocket: async () => local?.look(),
    drain: async () => void (await close()),
    cut: () => {
      const servers = [app.server, ...opened.map(({ http }) => http), ...(local?.servers ?? [])]
      for (const server of servers) server.closeAllConnections()
    }
  }
}

/** A machine may do without IPv6. */
function unlessAbsent(error: unknown): void {
  const code = error instanceof Error ? errorCode(error.cause) : undefined
  if (code !== 'EADDRNOTAVAIL' && code !== 'EAFNOSUPPORT') throw error
}

function createTlsServer(app: FastifyInstance, config: Config): Server {
  const server = createServer({
    ...serverOptions(config.limits),
    ...secureContext(config, 'general.https_listen'),
    handshakeTimeout: config.limits.headersTimeoutMs,
    requestCert: true,
    rejectUnauthorized: false // who it is, src/api/callers/callers.ts decides: agents' certificates have no CA
  })
  completeServer(server, app.routing)
  return server
}

/** @throws {Error} that names the setting, when it cannot listen there */
async function bound<T>(setting: string, address: ListenAddress, listening: Promise<T>): Promise<T> {
  try {
    return await listening
  } catch (error) {
    throw listenFailure(setting, address, error)
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
function closed({ http, listening }: OpenServer): Promise<void> {
  return new Promise(resolve => {
    listening.close(() => resolve())
    http.closeIdleConnections()
  })
}

function portOf(address: ReturnType<TcpServer['address']>): number {
  return typeof address === 'object' && address !== null ? address.port : 0
}

function show(address: ReturnType<TcpServer['address']>): string {
  if (address === null || typeof address === 'string') return String(address)
  return address.family === 'IPv6' ? `[${address.address}]:${address.port}` : `${address.address}:${address.port}`
}
