import type { Server } from 'node:net'
import type { Config } from '../../config/config.js'
import { hostAndPort } from '../../network/host-and-port.js'
import { listenFailure } from '../../network/listen-failure.js'
import type { ServiceEntry } from '../../services/entry/service-entry.js'
import { createServiceListener, type ServiceListener } from '../../services/entry/service-listener.js'
import type { ServiceKeys } from '../../services/keys/service-keys.js'
import type { CurrentTopology } from '../../tree/topology.js'
import type { ConnectionBudget } from '../listening/connection-budget.js'
import type { KnownTokens } from '../tokens/known-tokens.js'
import { createServiceAdmission } from './service-admission.js'
import { openToService } from './service-ways.js'

export interface ServiceListenersOptions {
  /** The one in force. */
  readonly config: () => Config
  readonly topology: CurrentTopology
  readonly tokens: KnownTokens
  readonly keys: ServiceKeys
  readonly connections: ConnectionBudget
}

/** The listeners for callers of services. */
export interface ServiceListeners {
  /** The addresses as bound, for the log. */
  readonly addresses: readonly string[]
  /** Takes no further connections, and ends those that are left. */
  stop(): Promise<void>
}

const IDLE_MS = 75_000

/** Opens `services.listen`, where it is set. @throws {Error} naming the setting, when it cannot listen */
export async function openServiceListeners(options: ServiceListenersOptions): Promise<ServiceListeners> {
  const { config, keys, connections } = options
  const { services, limits } = config()
  const opened: ServiceListener[] = []
  const addresses: string[] = []
  const entry: ServiceEntry = {
    admit: createServiceAdmission(options),
    open: (key, payload, tried) => openToService(keys, key, payload, tried)
  }
  if (services.listen !== undefined) {
    const listener = createServiceListener(
      entry,
      { headMs: limits.headersTimeoutMs, idleMs: IDLE_MS },
      connections.part()
    )
    await bind(listener.server, services.listen)
    opened.push(listener)
    addresses.push(`services on http://${addressOf(listener.server)}`)
  }
  return {
    addresses,
    async stop() {
      const closed = opened.map(({ server }) => new Promise<void>(resolve => server.close(() => resolve())))
      for (const listener of opened) listener.cut()
      await Promise.all(closed)
    }
  }
}

function bind(server: Server, { host, port }: { readonly host: string; readonly port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error) => reject(listenFailure('services.listen', { host, port }, error))
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
