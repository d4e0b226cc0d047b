import type { IncomingMessage } from 'node:http'
import { RelayError } from '../../values/failures/relay-error.js'

/** A target in absolute form: how clients ask a proxy, and every server takes it (RFC 9112, section 3.2.2). */
const ABSOLUTE = /^(https?):\/\/([^/?#]*)(.*)$/is
const DEFAULT_PORT: Readonly<Record<string, string>> = { http: ':80', https: ':443' }

/** The path and query of a request's target, in whichever form it came. */
export function originForm(target: string): string {
  if (target.startsWith('/')) return target
  const [match, , , rest = ''] = ABSOLUTE.exec(target) ?? []
  if (match === undefined) return target
  return rest.startsWith('/') ? rest : `/${rest}`
}

/**
 * A target in absolute form says which host it is for, and so does `Host`. RFC 9112 has the target win; but what stands
 * in front may have decided by the other one, and a client sends the same in both: two hosts in one request are refused.
 * Where `Host` is absent, as it may be with HTTP/1.0, the target's host stands for it from here on.
 * @throws {RelayError} INVALID_INPUT
 */
export function checkTarget({ headers }: Pick<IncomingMessage, 'headers'>, target: string): void {
  if (target.startsWith('/')) return
  const [match, scheme = '', authority = ''] = ABSOLUTE.exec(target) ?? []
  if (match === undefined) return
  const { host } = headers
  if (authority === '') throw new RelayError('INVALID_INPUT', 'the request target names no host')
  if (host === undefined) headers.host = authority
  else if (withoutPort(host, scheme) !== withoutPort(authority, scheme)) {
    const shown = [host, authority].map(text => JSON.stringify(text.slice(0, 80)))
    throw new RelayError(
      'INVALID_INPUT',
      `the Host header, ${shown[0]}, is not that of the request target, ${shown[1]}`
    )
  }
}

/** The authority without the default port of its scheme. */
function withoutPort(authority: string, scheme: string): string {
  const text = authority.toLowerCase()
  const port = DEFAULT_PORT[scheme.toLowerCase()]
  return port !== undefined && text.endsWith(port) ? text.slice(0, -port.length) : text
}
