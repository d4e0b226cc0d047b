import { isIP, type Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { canonicalHost } from '../../network/host-name.js'

/** The parts of a request that tell of a page. */
export interface PageEvidence {
  readonly headers: PageHeaders
  readonly socket: Socket
}

/** A header that came several times is joined, and then no origin or site. */
export interface PageHeaders {
  readonly host?: string | undefined
  readonly origin?: string | undefined
  readonly referer?: string | undefined
  readonly 'sec-fetch-site'?: string | string[] | undefined
  readonly 'x-forwarded-host'?: string | string[] | undefined
}

/** Hosts that a request may name, without port, in canonical form. */
export type IsOwnHost = (host: string, request: PageEvidence) => boolean

/**
 * The way on which a request came: over plain HTTP, by any name; passed on by a proxy, or so it seems; or over a
 * connection that proves that no name was made to lead here.
 */
export type Passage = 'plain' | 'passed-on' | 'proven'

/** The values of `Sec-Fetch-Site` for requests caused by a page of the same origin, or by the user alone. */
const OWN_SITES = new Set(['same-origin', 'none'])
const AUTHORITY = /^(\[[0-9a-f:.]+\]|[^:[\]]*)(?::\d+)?$/i
const ORIGIN = /^(https?):\/\/(.+)$/i
const REFERER = /^(https?):\/\/([^/?#]*)/i
const LOOPBACK = /^(?:localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|::1)$/

/**
 * Whether a web page from elsewhere caused a request: by its `Origin` or `Referer`, by what the browser says of its site, or by a
 * host name that was made to lead here (DNS rebinding), which a page may call from its own origin. A browser sends
 * such a request from wherever it runs, with the network, the certificate and the loopback of its user.
 */
export function isForeignPage(request: PageEvidence, isOwnHost: IsOwnHost, way: Passage): boolean {
  return foreignHost(request, isOwnHost, way) !== undefined || comesFromElsewhere(request, isOwnHost, way)
}

/** The host that a request names, where a name that was made to lead here would look like it. */
export function foreignHost(request: PageEvidence, isOwnHost: IsOwnHost, way: Passage): string | undefined {
  const { host } = request.headers
  const isForeign = way !== 'proven' && host !== undefined && !mayBeAskedFor(hostIn(host), request, isOwnHost, way)
  return isForeign ? host : undefined
}

/** Whether a page of another origin caused a request, by whatever host. */
export function comesFromElsewhere(request: PageEvidence, isOwnHost: IsOwnHost, way: Passage): boolean {
  const { origin, referer, 'sec-fetch-site': site } = request.headers
  if (site !== undefined && !OWN_SITES.has(String(site))) return true
  if (origin !== undefined) return !isOwnOrigin(request, origin, isOwnHost, way === 'plain')
  return site === undefined && referer !== undefined && isForeignReferer(request, referer, way === 'plain')
}

/**
 * Whether the `Referer` is foreign. For images, frames and links a browser sends no `Origin`, and says nothing of the
 * site where it does not trust the connection (plain HTTP, but to loopback), or is old. The host that was asked for
 * has been looked at already.
 */
function isForeignReferer(request: PageEvidence, referer: string, isPlain: boolean): boolean {
  const [, scheme = '', authority = ''] = REFERER.exec(referer.toLowerCase()) ?? []
  return scheme !== '' && !(mayBeScheme(request, scheme, isPlain) && isAskedFor(request, authority))
}

/** A proxy may have been asked by an address of its own, which we don't know; none can be made to lead elsewhere. */
function mayBeAskedFor(host: string, request: PageEvidence, isOwnHost: IsOwnHost, way: Passage): boolean {
  return isOwnHost(host, request) || (way === 'passed-on' && isIP(host) !== 0)
}

/** A page of ours: asked by the same name and port as the page itself, or by the name that a proxy was asked by. */
function isOwnOrigin(request: PageEvidence, origin: string, isOwnHost: IsOwnHost, isPlain: boolean): boolean {
  const [, scheme = '', authority = ''] = ORIGIN.exec(origin.toLowerCase()) ?? []
  if (!mayBeScheme(request, scheme, isPlain) || !isOwnHost(hostIn(authority), request)) return false
  return isAskedFor(request, authority)
}

/**
 * Whether the request may have been made with this scheme. Only a proxy knows how it was asked. Each
 * scheme has a default port of its own.
 */
function mayBeScheme({ socket }: PageEvidence, scheme: string, isPlain: boolean): boolean {
  return !(isPlain && scheme === 'https') && !(socket instanceof TLSSocket && scheme === 'http')
}

function isAskedFor({ headers }: PageEvidence, authority: string): boolean {
  const { host, 'x-forwarded-host': forwarded } = headers
  return authority === host?.toLowerCase() || authority === String(forwarded ?? '').toLowerCase()
}

/** The host of `host:port`, without brackets, in canonical form; empty when it is none. */
function hostIn(authority: string): string {
  const host = AUTHORITY.exec(authority)?.[1] ?? ''
  return canonicalHost(host.startsWith('[') ? host.slice(1, -1) : host) ?? ''
}

/** Loopback, the address at which the connection arrived, and the names that the relay is known to have. */
export function ownHosts(names: () => readonly string[]): IsOwnHost {
  return (host, request) => {
    if (host === '') return false
    if (LOOPBACK.test(host) || host === localAddressOf(request)) return true
    return names().some(name => name === host || canonicalHost(name) === host)
  }
}

function localAddressOf({ socket }: PageEvidence): string {
  return (socket.localAddress ?? '').replace(/^::ffff:/, '')
}
