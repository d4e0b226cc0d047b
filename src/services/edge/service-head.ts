import type { ServiceRequest } from '../exchange/service-request.js'
import { isNamed } from '../http1/fields.js'
import { formatHead, requestLine } from '../http1/format.js'

export interface ServiceHeadOptions {
  /** The path of the base URL, without a slash at its end. */
  readonly prefix: string
  /** The value of `Host`; undefined: as the caller asked. */
  readonly host: string | undefined
}

/** The head of a request as the service gets it. */
export function headForService({ head, body, upgrade }: ServiceRequest, { prefix, host }: ServiceHeadOptions): Buffer {
  const fields: string[] = host === undefined ? [] : ['Host', host]
  let takesTrailers = false
  for (let at = 0; at + 1 < head.fields.length; at += 2) {
    const name = head.fields[at] ?? ''
    if (host !== undefined && isNamed(name, 'host')) continue
    takesTrailers ||= isNamed(name, 'te')
    fields.push(name, head.fields[at + 1] ?? '')
  }
  if (upgrade !== undefined) fields.push('Connection', 'Upgrade', 'Upgrade', upgrade)
  else if (takesTrailers) fields.push('Connection', 'TE')
  if (body === 'chunked') fields.push('Transfer-Encoding', 'chunked')
  const target = head.target === '*' ? head.target : prefix + head.target
  return formatHead(requestLine({ method: head.method, target }), fields)
}
