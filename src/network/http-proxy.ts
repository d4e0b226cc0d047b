import { isIP, isIPv6 } from 'node:net'
import { unbracketed } from './host-and-port.js'
import { NetworkSet } from './network-set.js'

type Environment = Readonly<Record<string, string | undefined>>

/**
 * The HTTP proxy of the environment (`HTTPS_PROXY`, for plain HTTP `HTTP_PROXY`, and `NO_PROXY`, in either case; one that
 * is empty says nothing) through which an address is reached, if there is one. It may hold credentials: not for messages.
 * @throws {Error} when it is no URL
 */
export function httpProxyFor(url: string, env: Environment = process.env): URL | undefined {
  const target = new URL(url)
  const [name, proxy] = target.protocol === 'http:' ? proxyForPlainHttp(env) : proxyForTls(env)
  if (proxy === '' || isExcepted(target, env.NO_PROXY || env.no_proxy || '')) return undefined
  const written = proxy.includes('://') ? proxy : `http://${proxy}`
  const parsed = URL.canParse(written) ? new URL(written) : undefined
  if (parsed?.protocol === 'http:' || parsed?.protocol === 'https:') return withGoodCredentials(parsed)
  throw new Error(`${name} is no URL: it should be http://host:port`)
}

function proxyForTls(env: Environment): [name: string, proxy: string] {
  return ['HTTPS_PROXY', env.HTTPS_PROXY || env.https_proxy || '']
}

/** The proxy for plain HTTP. In a CGI program, `HTTP_PROXY` is a header of its caller. */
function proxyForPlainHttp(env: Environment): [name: string, proxy: string] {
  const upperCase = env.REQUEST_METHOD === undefined ? env.HTTP_PROXY : undefined
  return ['HTTP_PROXY', upperCase || env.http_proxy || '']
}

/**
 * Encodes the credentials, so that code that decodes them does not fail at a `%` that is just a character of a
 * password.
 */
function withGoodCredentials(proxy: URL): URL {
  proxy.username = encodeURIComponent(decodedIfEncoded(proxy.username))
  proxy.password = encodeURIComponent(decodedIfEncoded(proxy.password))
  return proxy
}

function decodedIfEncoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    // URLs encode some characters by themselves; what stands for none is meant as it is
    return text.replace(/(?:%[0-9a-f]{2})+/gi, codes => {
      try {
        return decodeURIComponent(codes)
      } catch {
        return codes
      }
    })
  }
}

/** `NO_PROXY`: host names, which stand for all below them too, addresses, networks (CIDR), or `*`; a port may follow. */
function isExcepted({ protocol, hostname, port }: URL, list: string): boolean {
  const host = unbracketed(hostname.toLowerCase())
  return list
    .split(/[\s,]+/)
    .filter(entry => entry !== '')
    .some(entry => {
      if (entry === '*') return true
      const [name, entryPort] = splitPort(entry.toLowerCase())
      if (entryPort !== undefined && entryPort !== (port || (protocol === 'http:' ? '80' : '443'))) return false
      if (isIP(host) !== 0) return isInNetwork(host, name)
      const suffix = name.replace(/^\*?\.?/, '')
      return host === suffix || host.endsWith(`.${suffix}`)
    })
}

function splitPort(entry: string): [name: string, port: string | undefined] {
  if (isIPv6(entry) || entry.includes('/')) return [entry.replace(/[[\]]/g, ''), undefined]
  const [, name = '', port] = /^\[?(.*?)\]?(?::(\d+))?$/.exec(entry) ?? []
  return [name, port]
}

/** A name in the list is no network, and holds no address. */
function isInNetwork(address: string, network: string): boolean {
  try {
    return new NetworkSet([network]).contains(address)
  } catch (error) {
    if (error instanceof RangeError) return false
    throw error
  }
}
