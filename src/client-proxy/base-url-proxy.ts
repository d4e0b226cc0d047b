import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { Http2ServerRequest } from 'node:http2'
import { PassThrough } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type Dispatcher, Pool } from 'undici'
import { errorCode, errorMessage } from '../values/failures/system-error.js'
import type { Logger } from '../values/logging/logger.js'
import { climbs } from './climbing-path.js'
import { endToEndHeaders } from './end-to-end-headers.js'

export interface BaseUrlProxyOptions {
  readonly baseUrl: URL
  /** The trust in the server, for https. */
  readonly tls: Trust
  readonly logger: Logger
  /** @param status of the answer; undefined when the base URL gave none */
  readonly onAnswered: (status: number | undefined) => void
}

/** The trust settings of TLS connections; empty: the certificates that Node trusts. */
export interface Trust {
  /** PEM. */
  readonly ca?: string[]
  /** A certificate may stand for itself, as one that is self-signed does. */
  readonly allowPartialTrustChain?: true
}

export interface BaseUrlProxy {
  /** Sends each request on to the base URL, and its answer back; nothing is held whole. */
  readonly listener: RequestListener
  /** Sets the trust of connections from now on; requests under way keep theirs. */
  trust(tls: Trust): void
  close(): Promise<void>
}

/** Connections to the base URL; further requests wait for one. */
const MAX_CONNECTIONS = 256
const CONNECT_TIMEOUT_MS = 10_000
/** How long what nobody wants of a body is read and dropped, so that its sender comes to see the answer. */
const DISCARD_LIMIT_MS = 5_000

export function createBaseUrlProxy(options: BaseUrlProxyOptions): BaseUrlProxy {
  const { baseUrl, tls, logger, onAnswered } = options
  let pool = openPool(baseUrl, tls)
  const prefix = baseUrl.pathname.replace(/\/+$/, '')

  async function pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? ''
    if (!path.startsWith('/') || climbs(path)) {
      request.resume()
      return answer(response, 400, 'the path has to begin with / and must not contain .. in any spelling')
    }
    const gone = new AbortController()
    response.once('close', () => gone.abort())
    const body = hasBody(request) ? passOn(request) : null
    try {
      const given = await pool.request({
        path: prefix + path,
        method: (request.method ?? 'GET') as Dispatcher.HttpMethod,
        headers: requestHeaders(request, baseUrl),
        body,
        signal: gone.signal
      })
      onAnswered(given.statusCode)
      response.writeHead(given.statusCode, endToEndHeaders(given.headers))
      await pipeline(given.body, response)
    } catch (error) {
      if (gone.signal.aborted) return
      if (response.headersSent) {
        response.destroy()
        return
      }
      onAnswered(undefined)
      const reason = reasonOf(error)
      logger.warn({ reason }, 'no answer from the base URL')
      answer(response, 502, `the base URL of the client gave no answer: ${reason}`)
    } finally {
      if (body !== null) discardRest(request, body)
    }
  }

  return {
    listener: (request, response) => {
      pass(request, response).catch((error: unknown) => {
        logger.error({ err: error }, 'request failed')
        response.destroy()
      })
    },
    trust: other => {
      pool.close().catch((error: unknown) => logger.warn({ err: error }, 'cannot close former connections'))
      pool = openPool(baseUrl, other)
    },
    close: () => pool.destroy()
  }
}

function openPool(baseUrl: URL, tls: Trust): Pool {
  return new Pool(baseUrl.origin, {
    connections: MAX_CONNECTIONS,
    connect: { ...tls, timeout: CONNECT_TIMEOUT_MS },
    // How long an answer may take is for the caller to say: when it leaves, the request is cancelled.
    headersTimeout: 0,
    bodyTimeout: 0
  })
}

/**
 * The body as a stream of its own: undici destroys what it was given when a request fails, and of the request itself the
 * rest is still to be read, so that its connection can be used again.
 */
function passOn(request: IncomingMessage): PassThrough {
  const body = new PassThrough()
  body.on('error', () => undefined) // whoever reads it is told
  request.pipe(body)
  request.once('error', error => body.destroy(error))
  request.once('close', () => {
    if (!request.readableEnded) body.destroy(new Error('the caller has gone'))
  })
  return body
}

function discardRest(request: IncomingMessage, body: PassThrough): void {
  if (request.readableEnded || request.destroyed) return
  request.unpipe(body)
  request.resume()
  const timer = setTimeout(() => request.destroy(), DISCARD_LIMIT_MS)
  request.once('close', () => clearTimeout(timer))
  request.once('end', () => clearTimeout(timer))
}

function requestHeaders(request: IncomingMessage, { host }: URL): Record<string, string | string[]> {
  const headers = endToEndHeaders(request.headers)
  delete headers.expect // was answered where it was asked; undici takes none
  return { ...headers, host }
}

/** HTTP/1 says so by its headers, HTTP/2 by the end of the stream. */
function hasBody(request: IncomingMessage | Http2ServerRequest): boolean {
  if ('stream' in request) return !request.stream.endAfterHeaders && request.headers['content-length'] !== '0'
  const { headers } = request
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

function answer(response: ServerResponse, status: number, message: string): void {
  const text = `${message}\n`
  response.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': String(Buffer.byteLength(text))
  })
  response.end(text)
}

/** The code alone where there is one: messages have addresses in them, which the caller need not know. */
function reasonOf(error: unknown): string {
  return errorCode(error) ?? errorMessage(error)
}
