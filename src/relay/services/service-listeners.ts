import type { Server } from 'node:net'
import type { Config, ListenAddress } from '../../config/config.js'
import { CallerSlots } from '../../services/entry/caller-slots.js'
import { destinationByPath } from '../../services/entry/path-entry.js'
import type { ServiceEntry } from '../../services/entry/service-entry.js'
import { createPlainServiceListener, ListenerConnections } from '../../services/entry/service-listener.js'
import type { ServiceTraffic } from '../../services/entry/traffic/service-traffic.js'
import type { ServiceKeys } from '../../services/keys/service-keys.js'
import type { Sealing } from '../../services/sealing/sealed-fields.js'
import type { NeighbourFacts } from '../../tree/known-certificates.js'
import { LogLimit } from '../../values/logging/log-limit.js'
import type { Logger } from '../../values/logging/logger.js'
import type { ConnectionBudget } from '../listening/connection-budget.js'
import { secureContext } from '../listening/gated-tls.js'
import type { KnownTokens } from '../tokens/known-tokens.js'
import type { CallerCertificates } from './caller-certificates.js'
import { http2Callers } from './http2-callers.js'
import { bindListener, boundAddress, callerLimits, closeListener } from './listening-at.js'
import { RootListeners } from './root-listeners.js'
import { sealAdmitted } from './seal-admitted.js'
import { createServiceAdmission } from './service-admission.js'
import { openToService } from './service-ways.js'
import { createTlsServiceListener, type TlsServiceListener } from './tls-service-listener.js'

export interface ServiceListenersOptions extends NeighbourFacts {
  /** The one in force. */
  readonly config: () => Config
  readonly tokens: KnownTokens
  readonly callers: CallerCertificates
  readonly keys: ServiceKeys
  readonly traffic: ServiceTraffic
  /** Undefined: no headers are sealed. */
  readonly sealing: Sealing | undefined
  readonly connections: ConnectionBudget
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>
}

/** The listeners for callers of services. */
export interface ServiceListeners {
  /** The addresses as bound, for the log. */
  readonly addresses: readonly string[]
  /** Reads certificate and key again, for new connections. @throws {Error} when they do not fit; the old ones stay */
  renewCertificate(config: Config): void
  /** Opens and closes listeners of `[[service_listener]]` as the configuration in force has them. @returns why some could not be opened. Does not reject */
  adapt(): Promise<string | undefined>
  /** Takes no further connections, and ends those that are left. */
  stop(): Promise<void>
}

interface Opened {
  readonly server: Server
  readonly connections: ListenerConnections
}

const HTTPS_SETTING = 'services.https_listen'

/** The number of listeners that share connections with others: those of `[[service_listener]]` are one of them. */
export function countServiceListeners({ services, serviceListeners }: Config): number {
  const { listen, httpsListen } = services
  return [listen, httpsListen, serviceListeners[0]].filter(setting => setting !== undefined).length
}

/**
 * Opens `services.listen` and `services.https_listen`, where they are set, and each `[[service_listener]]`.
 * @throws {Error} naming the setting, when it cannot listen
 */
export async function openServiceListeners(options: ServiceListenersOptions): Promise<ServiceListeners> {
  const { config, keys, traffic, connections: budget, logger } = options
  const { services, serviceListeners } = config()
  const opened: Opened[] = []
  const addresses: string[] = []
  let tls: TlsServiceListener | undefined
  const plain = createServiceAdmission(options)
  const admit = options.sealing === undefined ? plain : sealAdmitted(plain, options.sealing)
  const entry: ServiceEntry = {
    admit: request => admit(request, destinationByPath),
    open: (key, payload, tried) => openToService(keys, key, payload, tried),
    traffic
  }
  const http2 = http2Callers(new LogLimit(logger))
  const connectionsOf = () =>
    new ListenerConnections(entry, callerLimits(config()), new CallerSlots(budget.part()), http2)
  const share = serviceListeners.length > 0 ? budget.part() : budget.part(0) // a reload may bring the first one
  const roots = new RootListeners({ ...options, admit, open: entry.open, share, http2 })

  async function open(setting: string, address: ListenAddress, scheme: 'http' | 'https', one: Opened): Promise<void> {
    await bindListener(setting, one.server, address)
    opened.push(one)
    addresses.push(`services on ${scheme}://${boundAddress(one.server)}`)
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
      tls = createTlsServiceListener(connections, secureContext(config(), HTTPS_SETTING), config(), options)
      await open(HTTPS_SETTING, httpsListen, 'https', { server: tls.server, connections })
    }
    await roots.open()
  }

  async function stop(): Promise<void> {
    await Promise.all([roots.stop(), ...opened.map(closeListener)])
  }

  await openAll().catch(async (error: unknown) => {
    await stop() // or what listens already would keep the process from ending
    throw error
  })
  return {
    addresses: [...addresses, ...roots.addresses],
    renewCertificate: renewed => {
      const renewRoots = roots.readCertificates(renewed) // before anything has changed
      tls?.renew(secureContext(renewed, HTTPS_SETTING))
      renewRoots()
    },
    adapt: () => roots.adapt(),
    stop
  }
}
