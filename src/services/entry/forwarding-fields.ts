import { type Fields, fieldValues } from '../http1/fields.js'
import { isHost } from '../http1/request-target.js'

const NAMES = ['forwarded', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'x-forwarded-prefix']

/** A request as it came to this relay. */
export interface ForwardedRequest {
  /** The fields as they came. */
  readonly fields: Fields
  readonly remoteAddress: string
  readonly scheme: 'http' | 'https'
  /** The host that was asked for, with its port. */
  readonly host: string
  /** The path below which the service is seen; may be empty. */
  readonly base: string
  /** Whether the connection comes from a proxy of `general.trusted_proxies`: it tells who asked it. */
  readonly isByTrustedProxy: boolean
}

/** Whether a header tells of the way of a request. CGI and WSGI read `_` as `-`. @param lower its name in lower case */
export function isForwardingField(lower: string): boolean {
  return NAMES.includes(lower.replaceAll('_', '-'))
}

/**
 * The headers that tell a service who asked, for what and by which way: those of this relay alone, or behind what a trusted
 * proxy says. `-Proto` and `-Host` are one value, which programs read without looking for a comma: that of the first proxy
 * stays.
 */
export function forwardingFields({
  fields,
  remoteAddress,
  scheme,
  host,
  base,
  isByTrustedProxy
}: ForwardedRequest): string[] {
  const before = (name: string) => (isByTrustedProxy ? fieldValues(fields, name).filter(value => value !== '') : [])
  const first = (name: string, own: string) => before(name)[0] ?? own
  const added = ['X-Forwarded-For', [...before('x-forwarded-for'), remoteAddress].join(', ')]
  added.push('X-Forwarded-Proto', first('x-forwarded-proto', scheme))
  added.push('X-Forwarded-Host', first('x-forwarded-host', host))
  const prefix = first('x-forwarded-prefix', '').replace(/\/+$/, '') + base
  if (prefix !== '') added.push('X-Forwarded-Prefix', prefix)
  const own = `for=${forwardedNode(remoteAddress)};host="${host}";proto=${scheme}`
  added.push('Forwarded', [...before('forwarded'), own].join(', '))
  return added
}

/** The origin that the caller asked, to which redirects lead: the one that a trusted proxy names, where it does. */
export function askedOrigin({ fields, scheme, host, isByTrustedProxy }: ForwardedRequest): string {
  if (!isByTrustedProxy) return `${scheme}://${host}`
  const named = (name: string) => fieldValues(fields, name).at(-1)?.split(',').at(-1)?.trim() ?? ''
  const proto = named('x-forwarded-proto').toLowerCase()
  const asked = named('x-forwarded-host')
  const isNamed = asked !== '' && isHost(asked)
  return `${proto === 'http' || proto === 'https' ? proto : scheme}://${isNamed ? asked : host}`
}

/** RFC 7239, section 6: an IPv6 address in brackets and quotes. */
function forwardedNode(address: string): string {
  return address.includes(':') ? `"[${address}]"` : address
}
