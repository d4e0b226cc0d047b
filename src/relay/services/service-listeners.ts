import type { Server } from 'node:net'
import type { Config, ListenAddress } from '../../config/config.js'
import { hostAndPort } from '../../network/host-and-port.js'
import { listenFailure } from '../../network/listen-failure.js'
import type { ServiceEntry } from '../../services/entry/service-entry.js'
import { createPlainServiceListener, ListenerConnections } from '../../services/entry/service-listener.js'
import type { ServiceKeys } from '../../services/keys/service-keys.js'
import type { NeighbourFacts } from '../../tree/known-certificates.js'
import type { Logger } from '../../values/logging/logger.js'
import type { ConnectionBudget } from '../listening/connection-budget.js'
import type { KnownTokens } from '../tokens/known-tokens.js'
import { createServiceAdmission } from './service-admission.js'
import { openToService } from './service-ways.js'
import { createTlsServiceListener, type TlsServiceListener } from './tls-service-listener.js'

export interface ServiceListenersOptions extends NeighbourFacts {
  /** The one in force. */
  readonly config: () => Config
  readonly tokens: KnownTokens
  readonly keys: ServiceKeys
  readonly connections: ConnectionBudget
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>
}

/** The listeners for callers of services. */
export interface ServiceListeners {
  /** The addresses as bound, for the log. */
  readonly addresses: readonly string[]
  /** Reads certificate and key again, for new connections. @throws {Error} when they do not fit; the old ones stay */
  renewCertificate(config: Config): void
  /** Takes no further connections, and ends those that are left. */
  stop(): Promise<void>
}

interface Opened {
  readonly server: Server
  readonly connections: ListenerConnections
}

const IDLE_MS = 75_000

/** The number of listeners that {@link openServiceListeners} opens. */
export function countServiceListeners({ listen, httpsListen }: Config['services']): number {
  return [listen, httpsListen].filter(setting => setting !== undefined).length
}

/** Opens `services.listen` and `services.https_listen`, where they are set. @throws {Error} naming the setting, when it cannot listen */
export async function openServiceListeners(options: ServiceListenersOptions): Promise<ServiceListeners> {
  const { config, keys, connections: budget, logger } = options
  const { services, limits } = config()
  const opened: Opened[] = []
  const addresses: string[] = []
  let tls: TlsServiceListener | undefined
  const entry: ServiceEntry = {
    admit: createServiceAdmission(options),
    open: (key, payload, tried) => openToService(keys, key, payload, tried)
  }
  const connectionsOf = () =>
    new ListenerConnections(entry, { headMs: limits.headersTimeoutMs, idleMs: IDLE_MS }, budget.part())

  async function open(setting: string, address: ListenAddress, scheme: 'http' | 'https', one: Opened): Promise<void> {
    await bind(setting, one.server, address)
    opened.push(one)
    addresses.push(`services on ${scheme}://${addressOf(one.server)}`)
  }

  async function openAll(): Promise<void> {
    const { listen, httpsListen } = services
    if (listen !== undefined) {
      const connections = connectionsOf()
      const server = createPlainServiceListener(connections)
      await open('services.listen', listen, 'http', { server, connections })
    }
    if (httpsListen !== undefined) {
      const connections = connectionsOf()
      tls = createTlsServiceListener(connections, config(), options, logger)
      await open('services.https_listen', httpsListen, 'https', { server: tls.server, connections })
    }
  }

  async function stop(): Promise<void> {
    const closed = opened.map(({ server }) => new Promise<void>(resolve => server.close(() => resolve())))
    for (const { connections } of opened) connections.cut()
    await Promise.all(closed)
  }

  await openAll().catch(async (error: unknown) => {
    await stop() // or what listens already would keep the process from ending
    throw error
  })
  return { addresses, renewCertificate: renewed => tls?.renewCertificate(renewed), stop }
}

function bind(setting: string, server: Server, { host, port }: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error) => reject(listenFailure(setting, { host, port }, error))
    server.once('error', onError)
    server.listen({ host, port }, () => {
      server.off('error', onError)
      resolve()
    })
  })
}

function addressOf(server: Server): string {
  const address = server.address()
  return typeof address === 'object' && address !== null ? hostAndPort(address.address, address.port) : ''
}
