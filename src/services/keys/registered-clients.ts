import type { LinkRegistry } from '../../links/upper/link-registry.js'
import type { UpperLink } from '../../links/upper/upper-link.js'
import { LinkWay } from './link-way.js'
import type { Replica } from './replica.js'
import type { ServiceKeys } from './service-keys.js'

/**
 * Keeps the clients that hold a link to this relay among the services.
 * @param isFull called for a client whose key is one too many
 */
export function followClients(registry: LinkRegistry, keys: ServiceKeys, isFull: (link: UpperLink) => void): void {
  const replicas = new Map<UpperLink, Replica>()
  registry.onChange((event, link) => {
    const { owner } = link
    if (owner.kind !== 'client') return
    if (event === 'opened') {
      const replica: Replica = {
        key: owner.id,
        id: owner.clientId,
        path: [],
        remoteAddress: link.remoteAddress,
        connectedAtMs: link.connectedAtMs,
        way: new LinkWay(`client ${owner.id}/${owner.clientId}`, link)
      }
      if (keys.add(replica)) replicas.set(link, replica)
      else isFull(link)
      return
    }
    const replica = replicas.get(link)
    replicas.delete(link)
    if (replica !== undefined) keys.remove(replica)
  })
}
