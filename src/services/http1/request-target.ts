import { malformed } from './bad-message-error.js'
import { isHostCharacter } from './characters.js'
import { fieldValues } from './fields.js'
import type { RequestHead } from './heads.js'

/** The resource that a request asks for. */
export interface RequestDestination {
  /** `/path?query` or `*`. */
  readonly target: string
  /** Host, and port where one is named; undefined: HTTP/1.0 without a host. */
  readonly host: string | undefined
}

/**
 * Checks that a target has one of the four forms of RFC 9112, 3.2.
 * @throws {BadMessageError} `malformed`
 */
export function checkTargetForm(method: string, target: string): void {
  if (method === 'CONNECT') {
    if (!isHost(target) || !/:\d{1,5}$/.test(target)) throw malformed('the target of CONNECT is no host and port')
    return
  }
  if (target.startsWith('/')) return
  if (target === '*') {
    if (method !== 'OPTIONS') throw malformed(`the target * belongs to OPTIONS alone, not to ${method.slice(0, 32)}`)
    return
  }
  splitAbsolute(target)
}

/**
 * The resource that a request asks for, by its target and its `Host` (RFC 9112, 3.2 and 3.3): an absolute target is
 * reduced to its path and query, and its host replaces `Host`. Not for CONNECT.
 * @throws {BadMessageError} `malformed`: a `Host` that is missing (HTTP/1.1), repeated or no host
 */
export function readDestination({ method, target, minor, fields }: RequestHead): RequestDestination {
  const hosts = fieldValues(fields, 'host')
  if (hosts.length > 1) throw malformed(`the header Host is there ${hosts.length} times`)
  const [host] = hosts
  if (host === undefined && minor === 1) throw malformed('the header Host is missing')
  if (host !== undefined && host !== '' && !isHost(host)) throw malformed('the header Host names no host')
  if (target.startsWith('/') || target === '*') return { target, host }
  const { authority, path } = splitAbsolute(target)
  if (path.startsWith('/')) return { target: path, host: authority }
  return { target: method === 'OPTIONS' && path === '' ? '*' : `/${path}`, host: authority }
}

/** @returns `path` with its query; may be empty, or begin with `?` */
function splitAbsolute(target: string): { readonly authority: string; readonly path: string } {
  const scheme = /^https?:\/\//i.exec(target)?.[0]
  if (scheme === undefined) throw malformed('the request target is neither a path nor a URL of http or https')
  const rest = target.slice(scheme.length)
  const end = rest.search(/[/?]/)
  const authority = end === -1 ? rest : rest.slice(0, end)
  if (!isHost(authority)) throw malformed('the request target is a URL without a host, or with a user in it')
  return { authority, path: end === -1 ? '' : rest.slice(end) }
}

/** More than any name has, or any address. */
const MAX_HOST_CHARS = 1024

/** Whether a text can be a host, with a port or without: a name, an IPv4 address, or an IPv6 address in brackets. */
export function isHost(text: string): boolean {
  if (text.length > MAX_HOST_CHARS) return false
  for (let at = 0; at < text.length; at += 1) if (!isHostCharacter(text.charCodeAt(at))) return false
  return /^(?:\[[0-9a-zA-Z:.]+\]|[^:[\]]+)(?::\d{0,5})?$/.test(text)
}
