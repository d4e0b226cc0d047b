import type { buildConnector } from 'undici'
import { unbracketed } from '../../network/host-and-port.js'
import { httpProxyFor } from '../../network/http-proxy.js'
import { isLoopback } from '../../network/network-set.js'
import { throughProxy } from '../../network/proxy-tunnel.js'
import { InputError } from '../../relay-client/client-error.js'
import { errorMessage } from '../../values/failures/system-error.js'

const TUNNEL_LIMIT_MS = 10_000

type Connector = buildConnector.connector

/**
 * Leads connections to a relay through the HTTP proxy of the environment.
 * @param server URL of the relay
 * @returns undefined where none is to be used: for a relay on this machine, or one in `NO_PROXY`
 * @throws {InputError} when the variable holds no URL
 */
export function environmentProxy(server: string): ((connect: Connector) => Connector) | undefined {
  if (!URL.canParse(server) || isThisMachine(new URL(server).hostname)) return undefined
  try {
    const proxy = httpProxyFor(server)
    return proxy === undefined ? undefined : connect => throughProxy(connect, proxy, TUNNEL_LIMIT_MS)
  } catch (cause) {
    throw new InputError(errorMessage(cause), { cause })
  }
}

function isThisMachine(hostname: string): boolean {
  return /^(?:.+\.)?localhost\.?$/.test(hostname) || isLoopback(unbracketed(hostname))
}
