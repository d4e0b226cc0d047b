import { isHopByHop } from '../../hops/hop-by-hop-headers.js'
import { type Fields, listElements } from '../http1/fields.js'

/** Headers of our own, which no service and no caller gets or sets. */
const OWN_PREFIX = 'treeline-'
/** The same for CGI and WSGI, which read both as one. */
const OWN_PREFIX_OF_CGI = 'treeline_'

/** Headers without which a message would be read as another one: `Connection` cannot name them. */
const NEVER_NAMED = new Set(['content-length', 'host'])

/**
 * The fields that go on from one connection to the next: all but those of the connection itself, those that
 * `Connection` names, and our own.
 * @param kept the name of one that stays all the same, in lower case
 */
export function cleanFields(fields: Fields, kept?: string): string[] {
  const named = listElements(fields, 'connection').filter(name => !NEVER_NAMED.has(name))
  const clean: string[] = []
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const name = fields[at] ?? ''
    const lower = name.toLowerCase()
    const isDropped = isHopByHop(lower) || isOwn(lower) || (named.length > 0 && named.includes(lower))
    if (!isDropped || lower === kept) clean.push(name, fields[at + 1] ?? '')
  }
  return clean
}

function isOwn(lower: string): boolean {
  return lower.startsWith(OWN_PREFIX) || lower.startsWith(OWN_PREFIX_OF_CGI)
}
