import { formatHead, requestLine } from '../http1/format.js'
import type { RequestHead } from '../http1/heads.js'
import { parseRequestHead } from '../http1/parse-heads.js'
import { BadOpeningError, formatOpening, type Opening } from '../streams/open-line.js'

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

/** Makes the payload that opens a stream. */
export function formatServiceRequest({ head, ...facts }: ServiceRequest): Buffer {
  return formatOpening({ kind: 'http', ...facts }, formatHead(requestLine(head), head.fields))
}

/** @throws {BadOpeningError} @throws {BadMessageError} when the head of the request is malformed */
export function parseServiceRequest({ line, rest }: Opening): ServiceRequest {
  const { key, base, origin, upgrade } = line
  const body = BODIES.find(name => name === line.body)
  if (
    typeof key !== 'string' ||
    typeof base !== 'string' ||
    typeof origin !== 'string' ||
    !(upgrade === undefined || typeof upgrade === 'string') ||
    body === undefined
  ) {
    throw new BadOpeningError('a request to a service names key, base, origin and body')
  }
  return { key, base, origin, body, upgrade, head: parseRequestHead(rest.toString('latin1')) }
}
