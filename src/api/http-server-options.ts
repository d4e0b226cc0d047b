import { createServer, type RequestListener, type Server, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { Config } from '../config/config.js'
import { answerHalfClosed } from '../network/half-open.js'
import { MAX_HEADERS_OFF } from '../network/max-headers.js'
import { COSTLY_SOURCE, type CostlySource } from '../network/sources/costly-source.js'
import { OpenRequests } from '../network/sources/open-requests.js'
import { BodyPieces } from './bodies/body-pieces.js'
import { answerUnderWay } from './requests/answer-under-way.js'
import { takeTurns } from './requests/request-turns.js'

/** Longest request line and headers; beyond: 431. */
export const MAX_HEADER_BYTES = 16 * 1024
const TIMEOUT_CHECK_INTERVAL_MS = 1_000
const KEEP_ALIVE_MS = 75_000
/** How long a refused caller may take to read why. */
const FLUSH_LIMIT_MS = 5_000

/** The options of all our HTTP servers. */
export function serverOptions({ headersTimeoutMs }: Pick<Config['limits'], 'headersTimeoutMs'>) {
  return {
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: headersTimeoutMs,
    requestTimeout: 0, // a body may take as long as it keeps coming: src/shared-files watches its rate
    requireHostHeader: false, // Node would answer by itself, past our bounds: src/api/requests/request-head.ts refuses it
    connectionsCheckingInterval: TIMEOUT_CHECK_INTERVAL_MS,
    keepAliveTimeout: KEEP_ALIVE_MS
  } as const
}

/** A server of plain HTTP, at an address or a Unix socket, with all of our rules. */
export function createPlainServer(
  limits: Pick<Config['limits'], 'headersTimeoutMs'>,
  listener: RequestListener
): Server {
  const server = createServer(serverOptions(limits))
  completeServer(server, listener)
  return server
}

/** The rules that are no options: for each server, whatever it was made by, without a listener of its own. */
export function completeServer(server: Server, listener: RequestListener): void {
  const tellOf = (of: CostlySource['of']) => (source: string, isOver: boolean) => {
    server.emit(COSTLY_SOURCE, { source, of, isOver } satisfies CostlySource)
  }
  const pieces = new BodyPieces(tellOf('small pieces of request bodies'))
  const inTurn = takeTurns(listener, new OpenRequests(tellOf('pipelined requests')))
  const take: RequestListener = (request, response) => {
    pieces.watch(request)
    inTurn(request, response)
  }
  server.on('request', take)
  server.maxHeadersCount = MAX_HEADERS_OFF
  answerHalfClosed(server) // where an answer lasts, half-closed.ts has a rule of its own
  // The routes say `continue` once all that comes before the body is in order.
  server.on('checkContinue', take)
  server.on('checkExpectation', take) // or Node would answer 417 by itself, past all bounds
  server.on('clientError', answerClientError)
}

/** Answers what is no request, on any server: 408, 431 or 400 and a line of text, then the connection is closed. */
export function answerClientError(error: Error & { readonly code?: string }, socket: Socket): void {
  if (socket.writableEnded && !socket.destroyed) {
    // More rubbish, while what was answered is on its way out: to destroy it now would take the answer along.
    socket.setTimeout(FLUSH_LIMIT_MS, () => socket.destroy())
    return
  }
  const answer = answerTo(error)
  if (answer === undefined || !socket.writable || isAnswering(socket)) {
    socket.destroy()
    return
  }
  const [status, text] = answer
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Connection: close',
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(text) + 1}`
  ]
  socket.setTimeout(FLUSH_LIMIT_MS, () => socket.destroy())
  socket.end(`${head.join('\r\n')}\r\n\r\n${text}\n`, () => socket.destroy())
}

/** An answer has begun: ours would end up in the middle of it. */
function isAnswering(socket: Socket): boolean {
  return answerUnderWay(socket)?.headersSent === true
}

/** Undefined where there is nothing to answer: the TLS handshake failed, or the connection broke. */
function answerTo({ code = '' }: { readonly code?: string }): [status: number, text: string] | undefined {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return [408, 'the headers did not come in time']
  if (code === 'HPE_HEADER_OVERFLOW')
    return [431, `the request line and headers have more than ${MAX_HEADER_BYTES} bytes`]
  return code.startsWith('HPE_') ? [400, 'this is not an HTTP/1.1 request'] : undefined
}
