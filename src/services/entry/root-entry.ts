import { TLSSocket } from 'node:tls'
import { isClientKey } from '../../keys/tokens/client-key.js'
import { climbs } from '../exchange/climbing-path.js'
import type { CallerRequest, ServiceDestination } from './service-entry.js'
import type { ServiceRefusal } from './service-refusal.js'

/** The settings of a listener whose paths reach a service unchanged. */
export interface RootDestinations {
  /** The key of the one service of the listener. */
  readonly fixed: string | undefined
  /** `<key>.<suffix>` leads to the service under the key. In lower case. */
  readonly suffix: string | undefined
  /** Keys by server names in lower case. */
  readonly serverNames: ReadonlyMap<string, string>
}

/** A service that something about a request names. */
export interface NamedService {
  /** For messages. */
  readonly by: string
  readonly key: string
}

/**
 * The destination by what names a service: the listener, the server name of TLS, the host that is asked, the caller's
 * tokens and certificate. The host counts as well: who has a connection for one name could ask for another over it.
 * @param ofCaller those that tokens and the certificate of the caller name
 */
export function destinationAtRoot(
  { target, host, socket }: Pick<CallerRequest, 'target' | 'host' | 'socket'>,
  ofCaller: readonly NamedService[],
  destinations: RootDestinations
): ServiceDestination | ServiceRefusal {
  const serverName = socket instanceof TLSSocket && socket.servername ? socket.servername : undefined
  const named = [...ofCaller]
  const { fixed } = destinations
  if (fixed !== undefined) named.unshift({ by: 'this listener', key: fixed })
  else {
    add(named, 'the host of the request', keyOfHost(host, destinations))
    add(named, 'the server name of TLS', keyOfHost(serverName, destinations))
  }
  const [first, ...others] = named
  if (first === undefined) return noService(serverName ?? host)
  const other = others.find(({ key }) => key !== first.key)
  if (other !== undefined) {
    const message = `${first.by} names the service ${first.key}, and ${other.by} names ${other.key}: ask for one of them`
    return { status: 421, message }
  }
  if (climbs(target)) return { status: 400, message: 'the path must not contain .. in any spelling' }
  return { key: first.key, base: '', target: target.startsWith('/') || target === '*' ? target : `/${target}` }
}

function add(named: NamedService[], by: string, key: string | undefined): void {
  if (key !== undefined) named.push({ by, key })
}

/** The key that a host names. @param host with or without a port */
function keyOfHost(
  host: string | undefined,
  { suffix, serverNames }: Omit<RootDestinations, 'fixed'>
): string | undefined {
  if (host === undefined) return undefined
  const name = host.replace(/:\d*$/, '').replace(/\.$/, '').toLowerCase()
  const listed = serverNames.get(name)
  if (listed !== undefined || suffix === undefined || !name.endsWith(`.${suffix}`)) return listed
  const key = name.slice(0, -suffix.length - 1)
  return isClientKey(key) ? key : undefined
}

function noService(name: string | undefined): ServiceRefusal {
  const what = name === undefined || name === '' ? 'without a name' : `by the name ${name.slice(0, 256)}`
  const message = `a request ${what} leads to no service here: ask by a server name of the listener, or show a token or a certificate that may call one service`
  return { status: 421, message }
}
