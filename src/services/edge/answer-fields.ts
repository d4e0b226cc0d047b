import { cleanFields } from '../exchange/clean-fields.js'
import type { ServiceRequest } from '../exchange/service-request.js'
import type { Fields } from '../http1/fields.js'
import type { ResponseHead } from '../http1/heads.js'

/** Headers with one URL. */
const LOCATIONS = new Set(['location', 'content-location'])

/** A time, and a URL with or without `url=` and quotes, as browsers read it (HTML, "shared declarative refresh steps"). */
const REFRESH = /^(\s*[\d.]+\s*[;,\s]\s*(?:url\s*=\s*)?["']?)([^"']+)/i

/**
 * The fields of an answer as the caller gets them: none of the connection to the service, and URLs below the base URL
 * and cookies as they are at the place where the caller asked.
 * @param baseUrl of the service
 */
export function fieldsForCaller({ status, fields }: ResponseHead, request: ServiceRequest, baseUrl: URL): Fields {
  const kept = cleanFields(fields, status === 101 ? 'upgrade' : undefined)
  for (let at = 0; at + 1 < kept.length; at += 2) {
    const name = (kept[at] ?? '').toLowerCase()
    const value = kept[at + 1] ?? ''
    if (LOCATIONS.has(name)) kept[at + 1] = movedUrl(value, request, baseUrl)
    else if (name === 'refresh') kept[at + 1] = value.replace(REFRESH, moveSecond(request, baseUrl))
    else if (name === 'link') kept[at + 1] = value.replace(/(<)([^>]*)/g, moveSecond(request, baseUrl))
    else if (name === 'set-cookie') kept[at + 1] = movedCookie(value, request, pathOf(baseUrl))
  }
  return kept
}

function moveSecond(request: ServiceRequest, baseUrl: URL): (all: string, before: string, url: string) => string {
  return (_all, before, url) => before + movedUrl(url, request, baseUrl)
}

/** A URL below the base URL as the caller reaches it; any other stays as it is. */
function movedUrl(url: string, { base, origin }: ServiceRequest, baseUrl: URL): string {
  const prefix = pathOf(baseUrl)
  if (url.startsWith('/') && !url.startsWith('//')) {
    const path = pathBelow(url, prefix)
    return path === undefined ? url : base + path
  }
  if (!/^(?:https?:)?\/\//i.test(url) || !URL.canParse(url, baseUrl.href)) return url
  const { origin: itsOrigin } = new URL(url, baseUrl)
  if (itsOrigin !== baseUrl.origin) return url
  const path = pathBelow(url.replace(/^(?:https?:)?\/\/[^/?#]*/i, '') || '/', prefix)
  return path === undefined ? url : origin + base + path
}

/** The part of a path behind a prefix, with the slash; undefined where it is not below. */
function pathBelow(path: string, prefix: string): string | undefined {
  if (!path.startsWith(prefix)) return undefined
  const rest = path.slice(prefix.length)
  return rest === '' || /^[/?#]/.test(rest) ? rest || '/' : undefined
}

function pathOf({ pathname }: URL): string {
  return pathname.replace(/\/+$/, '')
}

/**
 * A cookie for the service alone: its path below the caller's, and no domain, which would give it to other services.
 * Without a path a browser takes the folder that was asked for (RFC 6265, 5.1.4). That of `/v1/relay/git` would be the
 * folder of all services.
 */
function movedCookie(cookie: string, { base, head }: ServiceRequest, prefix: string): string {
  const [pair = '', ...attributes] = cookie.split(';')
  let path = base !== '' && /^\/[^/]*(?:\?|$)/.test(head.target) ? '/' : undefined
  const others: string[] = []
  for (const attribute of attributes) {
    const [name = '', ...value] = attribute.split('=')
    const lower = name.trim().toLowerCase()
    if (lower === 'path') path = pathBelow(value.join('=').trim(), prefix) ?? '/'
    else if (lower !== 'domain') others.push(attribute)
  }
  return [pair, ...(path === undefined ? [] : [` Path=${base}${path}`]), ...others].join(';')
}
