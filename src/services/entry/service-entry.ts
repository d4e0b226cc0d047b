import type { Socket } from 'node:net'
import type { FramedStream } from '../../links/streams/framed-stream.js'
import { REQUEST_ID_HEADER } from '../../network/header-names.js'
import { type Fields, fieldValues } from '../http1/fields.js'
import type { RequestHead } from '../http1/heads.js'
import type { ServiceWay } from '../keys/replica.js'
import type { ServiceRefusal } from './service-refusal.js'
import type { CameRequest } from './traffic/served-request.js'
import type { ServiceTraffic } from './traffic/service-traffic.js'

/** A caller's request, as far as its destination and rights are decided by it. */
export interface CallerRequest {
  readonly head: RequestHead
  /** `/path?query`, or `*`. */
  readonly target: string
  readonly host: string | undefined
  /** The connection, which shows both addresses and the certificate. */
  readonly socket: Socket
  /** The address of the connection. */
  readonly remoteAddress: string
}

/** The destination of a request. */
export interface ServiceDestination {
  readonly key: string
  /** The path below which the service is seen, without a slash at its end; may be empty. */
  readonly base: string
  /** The path at the service, with the query. */
  readonly target: string
  /** The header fields without those that let the caller in; all of them unless given. */
  readonly fields?: Fields
  /** Whether a proxy of `general.trusted_proxies` passed the request on: what it tells of the caller goes along. */
  readonly isByTrustedProxy?: boolean
  /**
   * Watches the right by which the caller was let in, where that may end before the request does.
   * @param end called when it has ended. @returns a function that ends the watch
   */
  readonly watchRight?: (end: () => void) => () => void
}

/** The relay, as its listeners for callers of services use it. */
export interface ServiceEntry {
  /** The requests under way, which are bounded and counted there. */
  readonly traffic: ServiceTraffic
  /** Decides where a request goes, and whether the caller may ask for that. */
  admit(request: CallerRequest): ServiceDestination | ServiceRefusal
  /**
   * Opens a stream to a service.
   * @param tried ways on which it failed before; the one that is taken is added
   * @throws {Error} when none is left, whose message is for the caller
   */
  open(key: string, payload: Buffer, tried: Set<ServiceWay>): FramedStream | Promise<FramedStream>
}

export function isServiceRefusal(answer: ServiceDestination | ServiceRefusal): answer is ServiceRefusal {
  return 'status' in answer
}

/** The facts of a request that are counted and logged. */
export function cameRequest({ head, target, remoteAddress }: CallerRequest): CameRequest {
  const [givenId] = fieldValues(head.fields, REQUEST_ID_HEADER)
  return { method: head.method, target, remoteAddress, givenId }
}
