import { isClientKey } from '../../keys/tokens/client-key.js'
import { fieldValues } from '../http1/fields.js'
import { formatHead, requestLine } from '../http1/format.js'
import { requestFraming } from '../http1/framing.js'
import type { RequestHead } from '../http1/heads.js'
import { parseRequestHead } from '../http1/parse-heads.js'
import { BadOpeningError, formatOpening, type Opening } from '../streams/open-line.js'
import { cleanFields } from './clean-fields.js'

/** The framing of a body between caller and service. In between it travels without. */
export type SentBody = 'none' | 'length' | 'chunked'

/** A request on its way to a service. */
export interface ServiceRequest {
  /** The name under which the service is registered. */
  readonly key: string
  /** The path below which the caller sees the service, without a slash at its end: `/v1/relay/git`, or empty. */
  readonly base: string
  /** The origin that the caller asked: `http://relay.example.com:8080`. */
  readonly origin: string
  readonly body: SentBody
  /** The value of `Upgrade`, where the caller offers one. */
  readonly upgrade: string | undefined
  /**
   * The target is the path at the service, without its base URL. The fields are those for the service: none of one
   * connection alone but `te` and `expect`.
   */
  readonly head: RequestHead
}

const BODIES: readonly SentBody[] = ['none', 'length', 'chunked']
/** Methods that would make the edge another kind of proxy, or show what it added: a credential. */
const NOT_SERVED = new Set(['CONNECT', 'TRACE'])

// What these let pass is put into headers: of the request, and of the answer (`Location`, `Link`, `Set-Cookie`).
const BASE = /^(?:\/[\w.~-]{1,128}){0,8}$/
const ORIGIN = /^https?:\/\/[\w.~%!$&'()*+,=:[\]-]{1,2048}$/
const UPGRADE = /^[\w!#$%&'*+.^`|~/,\t -]{1,1024}$/

/** Whether a text can be the value of `Upgrade`: a list of protocols, of 1,024 characters at most. */
export function isUpgradeOffer(value: string): boolean {
  return UPGRADE.test(value)
}

/** Makes the payload that opens a stream. */
export function formatServiceRequest({ head, ...facts }: ServiceRequest): Buffer {
  return formatOpening({ kind: 'http', ...facts }, formatHead(requestLine(head), head.fields))
}

/**
 * Reads the payload that opens a stream. The relay above made it, and may be anybody: nothing in it can become another
 * header, or another request.
 * @throws {BadOpeningError} @throws {BadMessageError} when the head of the request is malformed
 */
export function parseServiceRequest({ line, rest }: Opening): ServiceRequest {
  const { key, base, origin, upgrade } = line
  const body = BODIES.find(name => name === line.body)
  if (typeof key !== 'string' || !isClientKey(key)) throw new BadOpeningError('a request without the key of a service')
  if (typeof base !== 'string' || !BASE.test(base)) throw new BadOpeningError('a request with a base that is no path')
  if (typeof origin !== 'string' || !ORIGIN.test(origin)) throw new BadOpeningError('a request without an origin')
  if (body === undefined) throw new BadOpeningError('a request that does not tell whether it has a body')
  if (upgrade !== undefined && (typeof upgrade !== 'string' || !isUpgradeOffer(upgrade) || body !== 'none')) {
    throw new BadOpeningError('a request with an upgrade that is none')
  }
  const head = parseRequestHead(rest.toString('latin1'))
  checkHead(head, body, upgrade)
  return { key, base, origin, body, upgrade, head }
}

/** The bytes of the body of a request; infinite where only its end tells. */
export function bodyBytes({ body, head }: Pick<ServiceRequest, 'body' | 'head'>): number {
  if (body === 'chunked') return Number.POSITIVE_INFINITY
  const framing = requestFraming(head)
  return framing.kind === 'length' ? framing.bytes : 0
}

/** A head that frames another body than the line names would let the data of this stream be read as a request. */
function checkHead(head: RequestHead, body: SentBody, upgrade: string | undefined): void {
  const { method, fields } = head
  if (NOT_SERVED.has(method)) throw new BadOpeningError(`${method} is not passed on to services`)
  const framing = requestFraming(head)
  const isEmpty = upgrade !== undefined && framing.kind === 'length' && framing.bytes === 0
  if (!isEmpty && framing.kind !== (body === 'length' ? 'length' : 'none')) {
    throw new BadOpeningError('a request whose headers frame another body than its line')
  }
  if (cleanFields(fields, 'te').length !== fields.length) {
    throw new BadOpeningError('a request with headers of one connection alone')
  }
  if (fieldValues(fields, 'te').some(value => value !== 'trailers')) throw new BadOpeningError('a request with a TE')
  if (fieldValues(fields, 'host').length > 1) throw new BadOpeningError('a request with more than one Host')
}
