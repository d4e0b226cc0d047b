import type { OutgoingHead } from '../credentials/edge-credentials.js'
import type { ServiceRequest } from '../exchange/service-request.js'
import { type Fields, isNamed } from '../http1/fields.js'
import { formatHead, requestLine } from '../http1/format.js'
import type { OutgoingRequest } from './service-channel.js'

export interface ServiceHeadOptions {
  /** The path of the base URL, without a slash at its end. */
  readonly prefix: string
  /** The value of `Host`; undefined: as the caller asked. */
  readonly host: string | undefined
  /** The name of this node; undefined: the service is not told, and a caller's own passes. */
  readonly agentName: string | undefined
}

/** The header by which birger tells services the name of its agent. */
const AGENT_NAME = 'x-opsmx-agent-name'

/** The head of a request for the service, before credentials change it. */
export function outgoingHead({ head }: ServiceRequest, { prefix, host, agentName }: ServiceHeadOptions): OutgoingHead {
  const target = head.target === '*' ? head.target : prefix + head.target
  const fields: string[] = []
  if (host !== undefined) fields.push('Host', host)
  if (agentName !== undefined) fields.push(AGENT_NAME, agentName)
  for (let at = 0; at + 1 < head.fields.length; at += 2) {
    const name = head.fields[at] ?? ''
    if (host !== undefined && isNamed(name, 'host')) continue
    if (agentName !== undefined && isNamed(name.replaceAll('_', '-'), AGENT_NAME)) continue
    fields.push(name, head.fields[at + 1] ?? '')
  }
  return { method: head.method, target, fields }
}

/** The head of a request as a service in HTTP/1 gets it. */
export function headForService({ head, change, framing, upgrade }: OutgoingRequest): Buffer {
  const fields: string[] = []
  let takesTrailers = false
  for (let at = 0; at + 1 < head.fields.length; at += 2) {
    const name = head.fields[at] ?? ''
    if (isOneOf(name, change.removed)) continue
    takesTrailers ||= isNamed(name, 'te')
    fields.push(name, head.fields[at + 1] ?? '')
  }
  fields.push(...change.added)
  if (upgrade !== undefined) fields.push('Connection', 'Upgrade', 'Upgrade', upgrade)
  else if (takesTrailers) fields.push('Connection', 'TE')
  if (framing === 'chunked') fields.push('Transfer-Encoding', 'chunked')
  return formatHead(requestLine(head), fields)
}

/** Leaves out fields with these names. @param dropped sets of names in lower case, with `-` */
export function withoutFields(fields: Fields, dropped: readonly (ReadonlySet<string> | undefined)[]): Fields {
  return fields.filter((_text, at) => {
    const name = fields[at - (at % 2)] ?? ''
    return !dropped.some(names => names !== undefined && isOneOf(name, names))
  })
}

/** Whether a field is one of these, with `_` or `-`. @param names in lower case, with `-` */
export function isOneOf(name: string, names: ReadonlySet<string>): boolean {
  return names.size > 0 && names.has(name.toLowerCase().replaceAll('_', '-'))
}
