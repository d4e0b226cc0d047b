import type { ConnectionOptions } from 'node:tls'
import type { FramedStream } from '../../links/streams/framed-stream.js'
import { RESET } from '../../links/streams/stream-protocol.js'
import type { Logger } from '../../values/logging/logger.js'
import { climbs } from '../exchange/climbing-path.js'
import { formatAnswer } from '../exchange/exchange-messages.js'
import { parseServiceRequest, type ServiceRequest } from '../exchange/service-request.js'
import { BadMessageError } from '../http1/bad-message-error.js'
import { BadOpeningError, type Opening } from '../streams/open-line.js'
import type { TakeKind } from '../streams/stream-kinds.js'
import { EdgeExchange, type ExchangeService } from './edge-exchange.js'
import { ServiceConnections } from './service-connections.js'
import { headForService } from './service-head.js'

export interface HttpServiceOptions {
  readonly baseUrl: URL
  /** The trust in the service and the certificate for it, read for each new connection. */
  readonly tls: () => ConnectionOptions
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
  const { baseUrl, logger } = options
  const isTls = baseUrl.protocol === 'https:'
  const host = baseUrl.hostname.replace(/^\[|\]$/g, '')
  const port = baseUrl.port === '' ? (isTls ? 443 : 80) : Number(baseUrl.port)
  const connections = new ServiceConnections({ host, port, isTls }, options.tls)
  const prefix = baseUrl.pathname.replace(/\/+$/, '')
  const service: ExchangeService = {
    baseUrl,
    take: isNew => connections.take(isNew),
    giveBack: (connection, isComplete) => connections.giveBack(connection, isComplete),
    headFor: request => headForService(request, { prefix, host: baseUrl.host }),
    onAnswered: status => {
      options.onAnswered(status)
      if (status === undefined) logger.warn({}, 'no answer from the base URL')
    }
  }
  return {
    take: (stream, opening) => take(stream, opening, service),
    renewConnections: () => connections.renew(),
    close: () => connections.close()
  }
}

function take(stream: FramedStream, opening: Opening, service: ExchangeService): void {
  let request: ServiceRequest
  try {
    request = parseServiceRequest(opening)
  } catch (error) {
    if (!(error instanceof BadOpeningError || error instanceof BadMessageError)) throw error
    stream.reset(RESET.broken, error.message)
    return
  }
  const { target } = request.head
  if (target !== '*' && (!target.startsWith('/') || climbs(target))) {
    refuse(stream, 400, 'the path has to begin with / and must not contain .. in any spelling')
  } else stream.sink = new EdgeExchange(stream, request, service)
}

/** Answers in place of the service. */
function refuse(stream: FramedStream, status: number, message: string): void {
  const text = Buffer.from(`${message}\n`)
  const fields = ['Content-Type', 'text/plain; charset=utf-8', 'Content-Length', String(text.length)]
  stream.message(formatAnswer('length', { status, reason: '', minor: 1, fields }))
  stream.write(text)
  stream.end()
}
