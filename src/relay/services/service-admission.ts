import { TLSSocket } from 'node:tls'
import { ownNames } from '../../api/callers/own-names.js'
import { comesFromElsewhere, foreignHost, ownHosts } from '../../api/callers/web-page.js'
import type { Config } from '../../config/config.js'
import { destinationByPath } from '../../services/entry/path-entry.js'
import type { CallerRequest, ServiceEntry, ServiceRefusal } from '../../services/entry/service-entry.js'
import type { CurrentTopology } from '../../tree/topology.js'
import { admittingAddress, passageOf, readEvidence } from './caller-evidence.js'

export interface ServiceAdmissionOptions {
  /** The one in force. */
  readonly config: () => Config
  readonly topology: CurrentTopology
}

/** Decides who may call services, by the connection and the headers. */
export function createServiceAdmission({ config, topology }: ServiceAdmissionOptions): ServiceEntry['admit'] {
  const isOwnHost = ownHosts(ownNames(config, topology))

  /** The reason why the address of a caller is not enough. */
  function refusalByAddress(request: CallerRequest): ServiceRefusal | undefined {
    const { services, general } = config()
    const evidence = readEvidence(request)
    const address = admittingAddress(evidence, general.trustedProxies)
    if (address === undefined) return BEHIND_PROXY
    if (!services.allowedNetworks.contains(address)) {
      return { status: 401, message: `${address} is not in services.allowed_networks` }
    }
    const way = passageOf(evidence, request.socket instanceof TLSSocket, general.trustedProxies)
    const host = foreignHost(evidence, isOwnHost, way)
    if (host !== undefined) return unknownHost(host)
    return comesFromElsewhere(evidence, isOwnHost, way) ? FOREIGN_PAGE : undefined
  }

  return request => refusalByAddress(request) ?? destinationByPath(request)
}

const BEHIND_PROXY: ServiceRefusal = {
  status: 401,
  message:
    'a proxy passed this request on, and no address of its caller is known: list the proxy in general.trusted_proxies'
}

const FOREIGN_PAGE: ServiceRefusal = {
  status: 403,
  message:
    'not for web pages from elsewhere: the Origin, Referer or Sec-Fetch-Site of the request is not of this address. To follow a link, open its address in a new tab'
}

function unknownHost(host: string): ServiceRefusal {
  return {
    status: 403,
    message: `the host ${host.slice(0, 256)} is no name of this relay, and could be that of a web page: ask by an address of the relay, or add the name to general.hostnames`
  }
}
