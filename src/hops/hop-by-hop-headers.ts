import { LINK_SECRET_HEADER } from '../network/header-names.js'

/**
 * Headers that belong to one connection and are never relayed (RFC 9110, 7.6.1). Node adds some of them to every
 * HTTP/1 answer, and refuses them on an HTTP/2 one.
 */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
  LINK_SECRET_HEADER
])

/**
 * Headers of a request that were meant for the relay that got it: `expect` was answered there, `host` names it, and
 * credentials for one relay are none of the next one's business.
 */
const OF_ONE_REQUEST = new Set(['expect', 'host', 'authorization', 'cookie'])

/** Whether a header belongs to one connection. @param name in lower case */
export function isHopByHop(name: string): boolean {
  return HOP_BY_HOP.has(name)
}

/**
 * The headers of a request that may be relayed, names in lower case. The headers that `Connection` names are left out
 * too.
 */
export function relayableRequestHeaders(headers: Readonly<Record<string, string>>): Record<string, string> {
  return relayable(headers, name => !OF_ONE_REQUEST.has(name))
}

/** The headers of an answer that may be relayed, names in lower case; repeated ones are joined with a comma. */
export function relayableAnswerHeaders(
  headers: Readonly<Record<string, string | readonly string[] | undefined>>
): Record<string, string> {
  return relayable(headers, name => !name.startsWith(':')) // HTTP/2 has the status among them
}

function relayable(
  headers: Readonly<Record<string, string | readonly string[] | undefined>>,
  accepts: (name: string) => boolean
): Record<string, string> {
  const kept: Record<string, string> = {}
  const named = namedByConnection(headers.connection)
  for (const [rawName, value] of Object.entries(headers)) {
    const name = rawName.toLowerCase()
    if (value === undefined || HOP_BY_HOP.has(name) || named.has(name) || !accepts(name)) continue
    kept[name] = typeof value === 'string' ? value : value.join(', ')
  }
  return kept
}

function namedByConnection(value: string | readonly string[] | undefined): ReadonlySet<string> {
  if (value === undefined) return NONE
  const text = typeof value === 'string' ? value : value.join(',')
  return new Set(text.split(',').map(name => name.trim().toLowerCase()))
}

const NONE: ReadonlySet<string> = new Set()
