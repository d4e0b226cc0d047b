import { forwardedOrigin } from '../../api/callers/forwarded-origin.js'
import { isProxyMark } from '../../api/callers/proxy-marks.js'
import type { Passage } from '../../api/callers/web-page.js'
import { isLoopback, type NetworkSet } from '../../network/network-set.js'
import type { CallerRequest } from '../../services/entry/service-entry.js'

/** Headers that tell where a request comes from. */
interface OriginHeaders {
  host?: string | undefined
  origin?: string
  referer?: string
  'sec-fetch-site'?: string
  'x-forwarded-host'?: string
  'x-forwarded-for'?: string
}

/** The marks of its origin that a request has. */
export interface CallerEvidence {
  readonly headers: Readonly<OriginHeaders>
  readonly socket: CallerRequest['socket']
  /** The address of the connection. */
  readonly remoteAddress: string
  /** Whether a header is there that proxies add. */
  readonly hasProxyMark: boolean
}

/** Reads the headers once. One that came several times is joined, as Node does it. */
export function readEvidence({ head: { fields }, host, socket, remoteAddress }: CallerRequest): CallerEvidence {
  const headers: OriginHeaders = host === undefined ? {} : { host }
  let hasProxyMark = false
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const name = (fields[at] ?? '').toLowerCase()
    if (isOriginHeader(name)) {
      const before = headers[name]
      const value = fields[at + 1] ?? ''
      headers[name] = before === undefined ? value : `${before}, ${value}`
    }
    hasProxyMark ||= isProxyMark(name)
  }
  return { headers, socket, remoteAddress, hasProxyMark }
}

/** `Host` is not read here: the target of a request may replace it. */
function isOriginHeader(name: string): name is Exclude<keyof OriginHeaders, 'host'> {
  switch (name) {
    case 'origin':
    case 'referer':
    case 'sec-fetch-site':
    case 'x-forwarded-host':
    case 'x-forwarded-for':
      return true
    default:
      return false
  }
}

/**
 * The address by which a caller may be admitted: of the connection, or the one that a trusted proxy names.
 * @returns undefined for a caller of which only a proxy is known
 */
export function admittingAddress(evidence: CallerEvidence, trustedProxies: NetworkSet): string | undefined {
  const { headers, remoteAddress, hasProxyMark } = evidence
  if (!hasProxyMark) return remoteAddress
  if (trustedProxies.contains(remoteAddress)) {
    return forwardedOrigin(headers['x-forwarded-for'] ?? '', trustedProxies).named
  }
  return isLoopback(remoteAddress) ? undefined : remoteAddress // what passes on to loopback passes on for anybody
}

/** The way of a request. TLS proves that no name was made to lead here. */
export function passageOf(
  { hasProxyMark, remoteAddress }: CallerEvidence,
  isTls: boolean,
  trusted: NetworkSet
): Passage {
  if (isTls) return 'proven'
  return hasProxyMark && trusted.contains(remoteAddress) ? 'passed-on' : 'plain'
}
