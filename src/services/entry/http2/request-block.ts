import { malformed } from '../../http1/bad-message-error.js'
import { describeCharacter, endOfToken, isTargetCharacter } from '../../http1/characters.js'
import { fieldValues } from '../../http1/fields.js'
import { type BodyFraming, requestFraming } from '../../http1/framing.js'
import type { RequestHead } from '../../http1/heads.js'
import { checkTargetForm, type RequestDestination, readDestination } from '../../http1/request-target.js'
import { readHeaderBlock } from '../../http2/header-blocks.js'

/** A request in HTTP/2, as one in HTTP/1 would have said it. */
export interface RequestBlock extends RequestDestination {
  readonly head: RequestHead
  readonly framing: BodyFraming
}

/**
 * Reads the header block of a request.
 * @param raw as Node gives it
 * @param isWhole whether the request ends with it
 * @returns the method alone where it is one that has no path: CONNECT, with a protocol or without
 * @throws {BadMessageError}
 */
export function readRequestBlock(raw: readonly string[], isWhole: boolean): RequestBlock | 'CONNECT' {
  const { pseudo, fields: others } = readHeaderBlock(raw)
  const method = pseudo.get(':method') ?? ''
  const path = pseudo.get(':path') ?? ''
  if (method === 'CONNECT' || pseudo.has(':protocol')) return 'CONNECT'
  const end = endOfToken(method, 0)
  if (end === 0 || end < method.length) {
    throw malformed(`the method has ${describeCharacter(method.charCodeAt(end))} in it`)
  }
  checkPath(method, path)
  const authority = pseudo.get(':authority')
  const fields = authority === undefined ? others : withHost(others, authority)
  const head: RequestHead = { method, target: path, minor: 1, fields }
  const named = requestFraming(head)
  const framing: BodyFraming = isWhole || named.kind === 'length' ? named : { kind: 'chunked' }
  return { head, framing, ...readDestination(head) }
}

function checkPath(method: string, path: string): void {
  if (!path.startsWith('/') && path !== '*') throw malformed('the :path does not begin with /')
  for (let at = 0; at < path.length; at += 1) {
    const code = path.charCodeAt(at)
    if (!isTargetCharacter(code)) throw malformed(`the :path has ${describeCharacter(code)} in it`)
  }
  checkTargetForm(method, path)
}

/** The fields with the authority as `Host`. One that names another host makes the request malformed (RFC 9113, 8.3.1). */
function withHost(fields: readonly string[], authority: string): readonly string[] {
  const hosts = fieldValues(fields, 'host')
  if (hosts.length === 0) return ['host', authority, ...fields]
  if (hosts.some(host => host.toLowerCase() !== authority.toLowerCase())) {
    throw malformed('the header Host names another host than :authority')
  }
  return fields
}
