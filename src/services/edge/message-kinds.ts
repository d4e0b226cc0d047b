import type { AnswerBody } from '../exchange/exchange-messages.js'
import type { ServiceRequest } from '../exchange/service-request.js'
import { fieldValues } from '../http1/fields.js'
import type { BodyFraming } from '../http1/framing.js'

const REPEATABLE = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])

/** Whether a service that gets the request twice does what it does once (RFC 9110, 9.2.2), where no body of it has gone. */
export function isRepeatable({ body, head }: ServiceRequest): boolean {
  return body !== 'chunked' && REPEATABLE.has(head.method)
}

/** Whether the service is to answer before anything of a body goes. */
export function isServicesTurn({ body, head }: ServiceRequest): boolean {
  return body === 'none' || fieldValues(head.fields, 'expect').length > 0
}

/** The way in which the body of an answer goes on. @param framing undefined: raw bytes */
export function bodyOf(framing: BodyFraming | undefined): AnswerBody {
  if (framing === undefined) return 'raw'
  return framing.kind === 'until-close' ? 'chunked' : framing.kind
}
