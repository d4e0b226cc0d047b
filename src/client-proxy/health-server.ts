import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { endParsing } from '../network/end-parsing.js'
import { answerHalfClosed } from '../network/half-open.js'
import { listenFailure } from '../network/listen-failure.js'
import { MAX_HEADERS_OFF } from '../network/max-headers.js'
import { type OpenCount, OpenRequests } from '../network/sources/open-requests.js'

export interface HealthServerOptions {
  readonly host: string
  readonly port: number
  readonly isReady: () => boolean
  readonly metrics: () => Promise<{ readonly type: string; readonly text: string }>
}

export interface HealthServer {
  readonly address: AddressInfo
  close(): Promise<void>
}

const MAX_CONNECTIONS = 100
const REQUEST_LIMIT_MS = 10_000

/** Serves `/v1/system/alive`, `ready` and `metrics`, and nothing else. @throws {Error} when it cannot listen */
export async function startHealthServer(options: HealthServerOptions): Promise<HealthServer> {
  const { host, port, isReady, metrics } = options

  async function answer(path: string, response: ServerResponse): Promise<void> {
    if (path === '/v1/system/alive') return sendJson(response, 200, { status: 'alive' })
    if (path === '/v1/system/ready') {
      if (isReady()) return sendJson(response, 200, { status: 'ready' })
      return sendJson(response, 500, { status: 'not ready', reason: 'the link to the server does not stand' })
    }
    if (path !== '/v1/system/metrics') return sendJson(response, 404, { status: 'no such path' })
    const { type, text } = await metrics()
    send(response, 200, type, text)
  }

  const server = createServer({ requestTimeout: REQUEST_LIMIT_MS, headersTimeout: REQUEST_LIMIT_MS })
  server.maxHeadersCount = MAX_HEADERS_OFF
  answerHalfClosed(server)
  server.maxConnections = MAX_CONNECTIONS
  const mayBegin = limitPipelines()
  server.on('request', (request, response) => {
    if (!mayBegin(request.socket, response)) return
    request.resume()
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      sendJson(response, 405, { status: 'only GET and HEAD' })
      return
    }
    answer((request.url ?? '').split('?', 1)[0] ?? '', response).catch(() => response.destroy())
  })
  await listening(server, host, port)
  return {
    address: server.address() as AddressInfo,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
  }
}

/**
 * Bounds the requests that a connection sends without waiting for answers, as the relay does: Node makes objects of all
 * that it has read. Each call counts a request, and says whether its connection is still there.
 */
function limitPipelines(): (socket: Socket, response: ServerResponse) => boolean {
  const open = new OpenRequests(() => undefined)
  const counts = new WeakMap<Socket, OpenCount>()
  return (socket, response) => {
    if (socket.destroyed) return false
    const count = counts.get(socket) ?? open.of(socket, () => endParsing(socket))
    counts.set(socket, count)
    if (!count.add()) return false
    response.once('close', () => count.remove())
    return true
  }
}

function listening(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error) => reject(listenFailure('--health-listen', { host, port }, error))
    server.once('error', onError)
    server.listen(port, host, () => {
      server.off('error', onError)
      resolve()
    })
  })
}

function sendJson(response: ServerResponse, status: number, value: object): void {
  send(response, status, 'application/json', `${JSON.stringify(value)}\n`)
}

function send(response: ServerResponse, status: number, type: string, text: string): void {
  response.writeHead(status, { 'content-type': type, 'content-length': String(Buffer.byteLength(text)) })
  response.end(text)
}
