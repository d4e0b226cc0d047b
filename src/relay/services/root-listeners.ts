import type { Server } from 'node:net'
import type { SecureContextOptions } from 'node:tls'
import type { Config, ServiceListenerConfig } from '../../config/config.js'
import { hostAndPort } from '../../network/host-and-port.js'
import { CallerSlots, type ConnectionShare } from '../../services/entry/caller-slots.js'
import { destinationAtRoot } from '../../services/entry/root-entry.js'
import type { ServiceEntry } from '../../services/entry/service-entry.js'
import {
  createPlainServiceListener,
  type Http2Callers,
  ListenerConnections
} from '../../services/entry/service-listener.js'
import type { ServiceTraffic } from '../../services/entry/traffic/service-traffic.js'
import type { NeighbourFacts } from '../../tree/known-certificates.js'
import { errorMessage } from '../../values/failures/system-error.js'
import type { Logger } from '../../values/logging/logger.js'
import { createTurns } from '../../values/time/in-turn.js'
import { type CertificateFiles, ownCertificateFiles, serviceContext } from '../listening/gated-tls.js'
import type { CallerCertificates } from './caller-certificates.js'
import { bindListener, boundAddress, callerLimits, closeListener } from './listening-at.js'
import type { AdmitToService } from './service-admission.js'
import { createTlsServiceListener, type TlsServiceListener } from './tls-service-listener.js'

export interface RootListenersOptions extends NeighbourFacts {
  /** The one in force. */
  readonly config: () => Config
  readonly admit: AdmitToService
  readonly open: ServiceEntry['open']
  readonly traffic: ServiceTraffic
  readonly callers: CallerCertificates
  /** The connections of all these listeners together. */
  readonly share: ConnectionShare
  readonly http2: Http2Callers
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>
}

interface RootListener {
  /** The section in the configuration in force. */
  setting: ServiceListenerConfig
  readonly server: Server
  readonly connections: ListenerConnections
  readonly tls: TlsServiceListener | undefined
}

/** The listeners of `[[service_listener]]`. Each is known by its address, and by whether it has TLS. */
export class RootListeners {
  readonly #opened = new Map<string, RootListener>()
  readonly #slots: CallerSlots
  readonly #inTurn = createTurns()

  constructor(private readonly options: RootListenersOptions) {
    this.#slots = new CallerSlots(options.share)
  }

  /** The addresses as bound, for the log. */
  get addresses(): string[] {
    return [...this.#opened.values()].map(addressForLog)
  }

  /** Opens all of them. @throws {Error} naming the setting, when one cannot listen. The caller stops the others */
  async open(): Promise<void> {
    const { config } = this.options
    for (const [id, place] of byId(config())) await this.#open(id, place, config())
  }

  /**
   * Opens and closes listeners as the configuration in force has them; the others keep their connections.
   * @returns why some could not be opened. Does not reject
   */
  adapt(): Promise<string | undefined> {
    return this.#inTurn(() => this.#adapt())
  }

  async #adapt(): Promise<string | undefined> {
    const config = this.options.config()
    const wanted = byId(config)
    for (const [id, listener] of this.#opened) {
      const setting = wanted.get(id)?.setting
      if (setting === undefined) await this.#close(id, listener)
      else listener.setting = setting
    }
    const problems: string[] = []
    for (const [id, place] of wanted) {
      if (this.#opened.has(id)) continue
      try {
        const listener = await this.#open(id, place, config)
        this.options.logger.info({ address: addressForLog(listener) }, 'listener for services opened')
      } catch (error) {
        problems.push(errorMessage(error))
      }
    }
    return problems.length === 0 ? undefined : problems.join('; ')
  }

  /**
   * Reads the certificates that a configuration names.
   * @returns puts them in force, for new connections
   * @throws {Error} when a certificate and its key do not fit
   */
  readCertificates(config: Config): () => void {
    const contexts = [...byId(config)].flatMap(([id, { name, setting }]) => {
      return setting.tls ? [[id, contextOf(setting, name, config)] as const] : []
    })
    return () => {
      for (const [id, context] of contexts) this.#opened.get(id)?.tls?.renew(context)
    }
  }

  /** Takes no further connections, and ends those that are left. */
  async stop(): Promise<void> {
    await Promise.all([...this.#opened.values()].map(closeListener))
  }

  async #open(id: string, { name, setting }: Place, config: Config): Promise<RootListener> {
    const { admit, open, traffic } = this.options
    const find: Parameters<AdmitToService>[1] = (request, named) => destinationAtRoot(request, named, listener.setting)
    const entry: ServiceEntry = { admit: request => admit(request, find), open, traffic }
    const connections = new ListenerConnections(entry, callerLimits(config), this.#slots, this.options.http2)
    const tls = setting.tls
      ? createTlsServiceListener(connections, contextOf(setting, name, config), config, this.options)
      : undefined
    const server = tls?.server ?? createPlainServiceListener(connections, true)
    const listener: RootListener = { setting, server, connections, tls }
    await bindListener(`${name}.listen`, server, setting.listen)
    this.#opened.set(id, listener)
    return listener
  }

  async #close(id: string, listener: RootListener): Promise<void> {
    this.#opened.delete(id)
    const address = addressForLog(listener)
    await closeListener(listener)
    this.options.logger.info({ address }, 'listener for services closed')
  }
}

interface Place {
  /** The name of the section, for messages. */
  readonly name: string
  readonly setting: ServiceListenerConfig
}

function byId({ serviceListeners }: Pick<Config, 'serviceListeners'>): Map<string, Place> {
  const places = new Map<string, Place>()
  serviceListeners.forEach((setting, index) => {
    const { host, port } = setting.listen
    let id = `${setting.tls ? 'https' : 'http'}://${hostAndPort(host, port)}`
    while (places.has(id)) id += '+' // of port 0 there may be several
    places.set(id, { name: `service_listener[${index}]`, setting })
  })
  return places
}

function contextOf(
  { certificateFile, keyFile }: ServiceListenerConfig,
  name: string,
  config: Config
): SecureContextOptions {
  const own: CertificateFiles | undefined =
    certificateFile === undefined || keyFile === undefined
      ? undefined
      : {
          certificate: certificateFile,
          key: keyFile,
          certificateSetting: `${name}.certificate_file`,
          keySetting: `${name}.key_file`
        }
  return serviceContext(own ?? ownCertificateFiles(config, name))
}

function addressForLog({ setting, server }: Pick<RootListener, 'setting' | 'server'>): string {
  return `services at ${setting.tls ? 'https' : 'http'}://${boundAddress(server)}`
}
