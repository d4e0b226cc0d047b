import type { ConnectionOptions } from 'node:tls'
import type { ServiceProtocol } from '../../config/services/service-protocol.js'
import type { FramedStream } from '../../links/streams/framed-stream.js'
import { RESET } from '../../links/streams/stream-protocol.js'
import { LogLimit } from '../../values/logging/log-limit.js'
import type { Logger } from '../../values/logging/logger.js'
import {
  CredentialsError,
  type EdgeCredentials,
  type HeadChange,
  NO_CHANGE,
  type OutgoingHead
} from '../credentials/edge-credentials.js'
import { climbs } from '../exchange/climbing-path.js'
import { parseServiceRequest, type ServiceRequest } from '../exchange/service-request.js'
import { BadMessageError } from '../http1/bad-message-error.js'
import { BrokenSealError } from '../sealing/header-seals.js'
import { BadOpeningError, type Opening } from '../streams/open-line.js'
import type { TakeKind } from '../streams/stream-kinds.js'
import { AwaitedRequest } from './awaited-request.js'
import { type AwsSigning, takeForAws } from './aws-requests.js'
import { EdgeExchange, type ExchangeService } from './edge-exchange.js'
import { ServiceSessions } from './http2/service-sessions.js'
import { type OpenedRequests, openRequest } from './opened-requests.js'
import { answerInPlace } from './own-answer.js'
import type { OutgoingRequest } from './service-channel.js'
import { ServiceConnections } from './service-connections.js'
import { outgoingHead, type ServiceHeadOptions } from './service-head.js'

export interface HttpServiceOptions {
  readonly baseUrl: URL
  /** Names it in the log, where this process has several. */
  readonly key?: string
  /** Whether the service gets the `Host` that the caller asked for. @default that of the base URL */
  readonly keepsHost?: boolean
  /** The version of HTTP that the service speaks. @default 'http/1.1' */
  readonly protocol?: ServiceProtocol | undefined
  /** Opens sealed headers; undefined: they pass as they are. */
  readonly opening?: OpenedRequests | undefined
  /** The name of this node, for services that are told it. */
  readonly agentName?: string | undefined
  /** The trust in the service, asked for each request: another object once it has changed. */
  readonly tls: () => ConnectionOptions
  /** The longest wait for the head of an answer, in ms: 504 then. @default none */
  readonly responseTimeoutMs?: number | undefined
  /** Closed by the caller. @default the caller's own pass */
  readonly credentials?: EdgeCredentials | undefined
  /** Signs requests for AWS, in place of `credentials`. */
  readonly aws?: AwsSigning | undefined
  readonly logger: Logger
  /** @param status of the answer; undefined when the service gave none */
  readonly onAnswered: (status: number | undefined) => void
}

/** An HTTP service that this process connects to. */
export interface HttpService {
  /** Takes a stream with a request. Nothing is held whole. */
  readonly take: TakeKind
  /** Has new connections opened from now on; requests under way keep theirs. */
  renewConnections(): void
  close(): void
}

/** Connects streams to the service at a base URL. */
export function createHttpService(options: HttpServiceOptions): HttpService {
  const { baseUrl, key, keepsHost = false, credentials } = options
  const limited = new LogLimit(options.logger)
  const isTls = baseUrl.protocol === 'https:'
  const host = baseUrl.hostname.replace(/^\[|\]$/g, '')
  const port = baseUrl.port === '' ? (isTls ? 443 : 80) : Number(baseUrl.port)
  const Channels =
    options.protocol === undefined || options.protocol === 'http/1.1' ? ServiceConnections : ServiceSessions
  const connections = new Channels({ host, port, isTls }, joinTls(options.tls, credentials))
  const head: ServiceHeadOptions = {
    prefix: baseUrl.pathname.replace(/\/+$/, ''),
    host: keepsHost ? undefined : baseUrl.host,
    agentName: options.agentName
  }
  const service: ExchangeService = {
    baseUrl,
    responseTimeoutMs: options.responseTimeoutMs,
    take: isNew => connections.take(isNew),
    guarded: options.opening?.sealing.names,
    outgoing: request => {
      const outgoing = outgoingHead(request, head)
      const change = credentials?.changeFor(outgoing) ?? NO_CHANGE
      return change instanceof Promise
        ? change.then(made => outgoingRequest(outgoing, request, made))
        : outgoingRequest(outgoing, request, change)
    },
    refused: ({ change }) => credentials?.refused(change) ?? false,
    onAnswered: status => {
      options.onAnswered(status)
      if (status === undefined) limited.warn(key ?? '', { key }, 'no answer from the base URL')
    }
  }
  return {
    take: (stream, opening) => {
      const request = read(stream, opening, options.opening)
      if (request === undefined) return
      if (options.aws === undefined) begin(stream, request, service)
      else takeForAws(stream, request, service, { ...head, host: baseUrl.host }, options.aws)
    },
    renewConnections: () => connections.renew(),
    close: () => connections.close()
  }
}

/** @returns the options of both, as one object until one of them changes */
function joinTls(trust: () => ConnectionOptions, credentials: EdgeCredentials | undefined): () => ConnectionOptions {
  if (credentials === undefined) return trust
  let parts: readonly ConnectionOptions[] = []
  let joined: ConnectionOptions = {}
  return () => {
    const [first, second] = [trust(), credentials.tls()]
    if (first !== parts[0] || second !== parts[1]) {
      parts = [first, second]
      joined = { ...first, ...second }
    }
    return joined
  }
}

/** Reads the request of a stream. @returns undefined for one that was refused */
function read(stream: FramedStream, opening: Opening, opened: OpenedRequests | undefined): ServiceRequest | undefined {
  let request: ServiceRequest
  try {
    request = parseServiceRequest(opening)
  } catch (error) {
    if (!(error instanceof BadOpeningError || error instanceof BadMessageError)) throw error
    stream.reset(RESET.broken, error.message)
    return undefined
  }
  try {
    if (opened !== undefined) request = openRequest(request, opened)
  } catch (error) {
    if (!(error instanceof BrokenSealError)) throw error
    answerInPlace(stream, request.head.method, 403, error.message)
    return undefined
  }
  const { target } = request.head
  if (target !== '*' && (!target.startsWith('/') || climbs(target))) {
    const message = 'the path has to begin with / and must not contain .. in any spelling'
    answerInPlace(stream, request.head.method, 400, message)
    return undefined
  }
  return request
}

function outgoingRequest(head: OutgoingHead, request: ServiceRequest, change: HeadChange): OutgoingRequest {
  return { head, change, framing: request.body, upgrade: request.upgrade }
}

function begin(stream: FramedStream, request: ServiceRequest, service: ExchangeService): void {
  try {
    const outgoing = service.outgoing(request)
    if (outgoing instanceof Promise) void beginLater(stream, request, service, outgoing)
    else stream.sink = new EdgeExchange(stream, request, service, outgoing)
  } catch (error) {
    refuseWithout(stream, error)
  }
}

async function beginLater(
  stream: FramedStream,
  request: ServiceRequest,
  service: ExchangeService,
  coming: Promise<OutgoingRequest>
): Promise<void> {
  const awaited = new AwaitedRequest()
  stream.sink = awaited
  try {
    const outgoing = await coming
    if (awaited.isOver) return
    stream.sink = new EdgeExchange(stream, request, service, outgoing)
    awaited.giveTo(stream)
  } catch (error) {
    refuseWithout(stream, error)
  }
}

/** Refuses a request that the service is not to get without credentials. */
function refuseWithout(stream: FramedStream, error: unknown): void {
  if (!(error instanceof CredentialsError)) throw error
  stream.reset(RESET.refused, `no answer from the service: ${error.message}`)
}
