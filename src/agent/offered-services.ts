import type { ServiceConfig } from '../config/services/service-config.js'
import type { TakeStream } from '../links/streams/stream-connection.js'
import { KeyAnnouncer } from '../services/keys/key-announcer.js'
import { ServiceKeys } from '../services/keys/service-keys.js'
import { OwnServices } from '../services/own/own-services.js'
import { StreamKinds } from '../services/streams/stream-kinds.js'
import type { Logger } from '../values/logging/logger.js'

/** The services that an agent offers to its policy server. */
export class OfferedServices {
  /** Takes streams that the policy server opens: the line about its keys, and requests. */
  readonly takeStream: TakeStream
  readonly #own: OwnServices
  readonly #announcer: KeyAnnouncer

  constructor(nodeId: string, logger: Logger) {
    const keys = new ServiceKeys()
    this.#own = new OwnServices({ selfId: nodeId, keys, sealing: undefined, logger })
    this.#announcer = new KeyAnnouncer({ keys, logger })
    this.takeStream = new StreamKinds(nodeId).on('keys', this.#announcer.take).on('http', this.#own.take).take
  }

  /** Offers these services and no others. Does not reject. */
  offer(services: readonly ServiceConfig[]): Promise<void> {
    return this.#own.replace(services)
  }

  /** Takes all back that was announced; requests under way go on. */
  announceNone(): void {
    this.#announcer.stop()
  }

  close(): void {
    this.#own.close()
  }
}
