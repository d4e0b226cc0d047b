import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import type { LinkRegistry } from '../../../src/links/upper/link-registry.js'
import { openToService } from '../../../src/relay/services/service-ways.js'
import type { CallerLimits } from '../../../src/services/entry/caller-connection.js'
import { CallerSlots } from '../../../src/services/entry/caller-slots.js'
import { destinationByPath } from '../../../src/services/entry/path-entry.js'
import { createPlainServiceListener, ListenerConnections } from '../../../src/services/entry/service-listener.js'
import { ServiceTraffic, type ServiceTrafficOptions } from '../../../src/services/entry/traffic/service-traffic.js'
import { followClients } from '../../../src/services/keys/registered-clients.js'
import { ServiceKeys } from '../../../src/services/keys/service-keys.js'

/** A listener for callers of the clients in a registry, open to everyone. @returns its port on loopback */
export async function startServiceEntry(t: TestContext, registry: LinkRegistry): Promise<number> {
  const keys = new ServiceKeys()
  followClients(registry, keys, () => undefined)
  return startEntryOf(t, keys)
}

/** A listener for callers of the services that `keys` reaches, open to everyone. @returns its port on loopback */
export async function startEntryOf(
  t: TestContext,
  keys: ServiceKeys,
  limits: CallerLimits = { headMs: 10_000, idleMs: 10_000 }
): Promise<number> {
  const share = { hasRoom: () => true, take: () => undefined, giveBack: () => undefined }
  const connections = new ListenerConnections(
    {
      admit: destinationByPath,
      open: (key, payload, tried) => openToService(keys, key, payload, tried),
      traffic: unboundTraffic()
    },
    limits,
    new CallerSlots(share),
    { streams: new CallerSlots(share), onFlood: () => undefined }
  )
  const server = createPlainServiceListener(connections, true)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    connections.cut()
  })
  return (server.address() as AddressInfo).port
}

/** Traffic with the usual bounds, and no rate. */
export function unboundTraffic(options: Partial<ServiceTrafficOptions> = {}): ServiceTraffic {
  return new ServiceTraffic({
    rateOf: () => 0,
    requestId: given => given ?? 'id',
    onServed: () => undefined,
    ...options
  })
}
