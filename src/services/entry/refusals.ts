import { STATUS_CODES } from 'node:http'
import { formatHead } from '../http1/format.js'
import type { ServiceRefusal } from './service-refusal.js'

/** An answer of the relay itself, whole. @param isLast whether the connection ends with it */
export function formatRefusal(
  { status, message, fields = [] }: ServiceRefusal,
  method: string,
  isLast: boolean
): Buffer {
  const text = Buffer.from(`${message}\n`)
  const head = formatHead(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`, [
    'Content-Type',
    'text/plain; charset=utf-8',
    'Content-Length',
    String(text.length),
    ...fields,
    ...(isLast ? ['Connection', 'close'] : [])
  ])
  return method === 'HEAD' ? head : Buffer.concat([head, text])
}
