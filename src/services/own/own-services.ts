import { isDeepStrictEqual } from 'node:util'
import type { ServiceConfig } from '../../config/services/service-config.js'
import { RESET } from '../../links/streams/stream-protocol.js'
import type { Logger } from '../../values/logging/logger.js'
import { showOnOneLine } from '../../values/text/shown-text.js'
import type { Replica } from '../keys/replica.js'
import { MAX_KEYS, type ServiceKeys } from '../keys/service-keys.js'
import type { Sealing } from '../sealing/sealed-fields.js'
import type { TakeKind } from '../streams/stream-kinds.js'
import { LocalWay } from './local-way.js'
import { openOwnService } from './open-own-service.js'
import type { OwnService } from './own-service.js'

export interface OwnServicesOptions {
  /** The id of this node or relay. */
  readonly selfId: string
  /** The services that this process reaches. Its own are added to them. */
  readonly keys: ServiceKeys
  /** Opens headers that callers' relays have sealed; undefined: they pass as they are. */
  readonly sealing: Sealing | undefined
  readonly logger: Logger
}

/** A service that is offered. */
interface Offered {
  readonly config: ServiceConfig
  readonly service: OwnService
  readonly way: LocalWay
  readonly replica: Replica
}

/** The services that an agent or relay reaches itself, as its configuration has them. */
export class OwnServices {
  readonly #offered = new Map<string, Offered>()

  constructor(private readonly options: OwnServicesOptions) {}

  /** Services that are offered. */
  get count(): number {
    return this.#offered.size
  }

  /** Takes streams with requests for these services alone. */
  readonly take: TakeKind = (stream, opening) => {
    const { key } = opening.line
    const offered = typeof key === 'string' ? this.#offered.get(key) : undefined
    if (offered !== undefined) offered.service.take(stream, opening)
    else {
      const { selfId } = this.options
      stream.reset(RESET.refused, `${selfId}: no service is offered under ${showOnOneLine(String(key))}`)
    }
  }

  /**
   * Offers these services from now on, and no others. Requests to those that stay the same go on, and so do those under
   * way to one that has changed; requests to one that is gone end. To be awaited before the next call. Does not reject.
   */
  async replace(configs: readonly ServiceConfig[]): Promise<void> {
    const wanted = new Map(configs.map(config => [config.key, config]))
    for (const [key, offered] of this.#offered) {
      if (wanted.has(key)) continue
      this.#withdraw(offered)
      offered.service.close()
    }
    for (const config of configs) {
      const former = this.#offered.get(config.key)
      if (!isDeepStrictEqual(former?.config, config)) await this.#offer(config, former)
    }
  }

  /** Ends all requests. */
  close(): void {
    for (const offered of this.#offered.values()) {
      this.#withdraw(offered)
      offered.service.close()
    }
  }

  async #offer(config: ServiceConfig, former: Offered | undefined): Promise<void> {
    const { selfId, keys, sealing, logger } = this.options
    const { key, type, annotations } = config
    const isSameService = former !== undefined && isDeepStrictEqual(reachOf(former.config), reachOf(config))
    const service = isSameService ? former.service : await openOwnService(config, { selfId, sealing, logger })
    if (former !== undefined) {
      this.#withdraw(former)
      if (!isSameService) former.service.retire()
    }
    const way = new LocalWay(`service ${key} of ${selfId}`, (stream, opening) => service.take(stream, opening))
    const replica: Replica = {
      key,
      id: selfId,
      path: [],
      remoteAddress: '-',
      connectedAtMs: Date.now(),
      type,
      ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
      way
    }
    if (keys.add(replica)) this.#offered.set(key, { config, service, way, replica })
    else {
      service.close()
      logger.error({ key, max: MAX_KEYS }, 'a service of the configuration is not offered: there are too many keys')
    }
  }

  #withdraw({ config, way, replica }: Offered): void {
    way.close()
    this.options.keys.remove(replica)
    this.#offered.delete(config.key)
  }
}

/** The part of a configuration on which requests depend. */
function reachOf({ annotations: _annotations, ...reach }: ServiceConfig): object {
  return reach
}
