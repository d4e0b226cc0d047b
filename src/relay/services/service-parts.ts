import type { Logger } from 'pino'
import type { Config } from '../../config/config.js'
import { matchesKey } from '../../keys/tokens/token-scope.js'
import type { LinkAdministration } from '../../links/upper/link-administration.js'
import type { LinkRegistry } from '../../links/upper/link-registry.js'
import { CLOSE } from '../../links/wire/protocol.js'
import { type ClientDirectory, ServiceDirectory } from '../../services/keys/client-directory.js'
import { forwardStreams } from '../../services/keys/forward-stream.js'
import { KeyAnnouncer } from '../../services/keys/key-announcer.js'
import { KeysBelow } from '../../services/keys/keys-below.js'
import { followClients } from '../../services/keys/registered-clients.js'
import { removeBelow, takeRemovals } from '../../services/keys/remove-below.js'
import { MAX_KEYS, ServiceKeys } from '../../services/keys/service-keys.js'
import { OwnServices } from '../../services/own/own-services.js'
import { openSealing } from '../../services/sealing/open-sealing.js'
import type { Sealing } from '../../services/sealing/sealed-fields.js'
import { StreamKinds } from '../../services/streams/stream-kinds.js'

/** The parts of a relay by which services are found and reached. */
export interface ServiceParts {
  /** The services that this relay reaches. */
  readonly keys: ServiceKeys
  /** Takes streams that come over this relay's own link. */
  readonly kinds: StreamKinds
  /** Tells the policy server of the keys. */
  readonly announcer: KeyAnnouncer
  /** The services that this relay reaches itself. */
  readonly own: OwnServices
  /** Hears which services relays and agents below offer. */
  readonly below: KeysBelow
  /** The seals of headers, for its callers and its own services; undefined: none are sealed. */
  readonly sealing: Sealing | undefined
  /** Lists and removes clients, here and below. */
  readonly clients: ClientDirectory
}

export interface ServicePartsOptions {
  /** The id of this relay. */
  readonly selfId: string
  /** The one in force. The keys that agents may offer follow it; the seals are those of the start. */
  readonly config: () => { readonly services: Pick<Config['services'], 'agentKeys' | 'sealHeaders' | 'sealKeyFile'> }
  readonly registry: LinkRegistry
  readonly links: LinkAdministration
  readonly logger: Logger
}

/** @throws {Error} when the keys of the seals cannot be used */
export function createServiceParts(options: ServicePartsOptions): ServiceParts {
  const { selfId, config, registry, links, logger } = options
  const sealing = openSealing(config().services)
  const keys = new ServiceKeys()
  followClients(registry, keys, link => {
    // its key was the last one that had room, and another client came first
    registry.end(link, CLOSE.full, `this relay has ${MAX_KEYS} client keys already`)
  })
  const mayOffer = (nodeId: string, key: string) => {
    const { agentKeys } = config().services
    const patterns = agentKeys.get(nodeId) ?? agentKeys.get('*') ?? []
    return patterns.some(pattern => matchesKey(pattern, key))
  }
  const below = new KeysBelow({ registry, keys, selfId, mayOffer, logger })
  below.start()
  const announcer = new KeyAnnouncer({ keys, logger })
  const clients = new ServiceDirectory({ keys, links, below: removeBelow })
  const own = new OwnServices({ selfId, keys, sealing, logger })
  const kinds = new StreamKinds(selfId)
    .on('keys', announcer.take)
    .on('http', forwardStreams({ selfId, keys }))
    .on(
      'remove',
      takeRemovals(selfId, (selection, hops) => clients.removeSelected(selection, hops))
    )
  return { keys, kinds, announcer, own, sealing, below, clients }
}
