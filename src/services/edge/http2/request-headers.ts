import type { OutgoingHttpHeaders } from 'node:http2'
import { isNamed } from '../../http1/fields.js'
import { toHttp2Headers } from '../../http2/header-blocks.js'
import type { OutgoingRequest } from '../service-channel.js'
import { isOneOf } from '../service-head.js'

/** The header block of a request as a service in HTTP/2 gets it: `Host` becomes `:authority`. */
export function requestHeaders({ head, change }: OutgoingRequest, scheme: 'http' | 'https'): OutgoingHttpHeaders {
  const fields: string[] = []
  let authority = ''
  for (let at = 0; at + 1 < head.fields.length; at += 2) {
    const name = head.fields[at] ?? ''
    const value = head.fields[at + 1] ?? ''
    if (isOneOf(name, change.removed)) continue
    if (isNamed(name, 'host')) authority = value
    else fields.push(name, value)
  }
  fields.push(...change.added)
  const pseudo = { ':method': head.method, ':scheme': scheme, ':authority': authority, ':path': head.target }
  return { ...pseudo, ...toHttp2Headers(fields) }
}
