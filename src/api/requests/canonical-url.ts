import { API_PREFIX } from '../../network/api-prefix.js'

const CANONICAL_START = `${API_PREFIX}/`
const VERSIONED_START = `${API_PREFIX}/1/`

/** The prefix in any spelling: `/rudder/relay-api/1/`, `//relay-api/`, or nothing but slashes. */
const ANY_PREFIX = /^\/+(?:rudder\/+)?(?:relay-api\/+(?:1\/+)?)?/

/** Paths outside the prefixes. */
const OUTSIDE = /^\/(?:(?:uuid|metrics|openapi\.json)(?:\?|$)|v1\/(?:relay|system)\/|api\/v1\/)/

/**
 * The one URL under which a route is registered, for each of those under which it answers (contract, "URLs"):
 * `/rudder/relay-api/…`, `/rudder/relay-api/1/…`, `//relay-api/…` (sic), `/…`.
 */
export function canonicalUrl(url: string): string {
  if (url.startsWith(CANONICAL_START) && !url.startsWith(VERSIONED_START) && url[CANONICAL_START.length] !== '/')
    return url
  if (OUTSIDE.test(url)) return url
  return CANONICAL_START + url.replace(ANY_PREFIX, '')
}
