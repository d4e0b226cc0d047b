import type { IncomingMessage } from 'node:http'
import type { Caller } from '../../network/caller.js'
import type { Services } from '../services.js'
import { createCallerIdentification } from './callers.js'
import { ownNames } from './own-names.js'
import { ownHosts } from './web-page.js'

/** Tells who is calling, by the configuration, the tree and the listeners of this relay. */
export function createIdentification(
  services: Pick<
    Services,
    | 'config'
    | 'topology'
    | 'certificates'
    | 'isAdminToken'
    | 'isFromAbove'
    | 'nodeOfSecret'
    | 'localSockets'
    | 'proxySockets'
  >
): (request: IncomingMessage) => Caller {
  const { config, topology, certificates, isAdminToken, isFromAbove, nodeOfSecret, localSockets, proxySockets } =
    services
  return createCallerIdentification({
    trustedProxies: () => config().general.trustedProxies,
    isBehindProxy: socket => proxySockets.has(socket) || config().general.behindProxy,
    isOwnHost: ownHosts(ownNames(config, topology)),
    isLocalSocket: socket => localSockets.has(socket),
    isAdminToken,
    certificates,
    isFromAbove,
    nodeOfSecret,
    topology
  })
}
