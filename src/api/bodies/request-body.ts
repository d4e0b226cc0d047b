import type { IncomingMessage, ServerResponse } from 'node:http'
import type { RequestPayload } from 'fastify'
import { RelayError } from '../../values/failures/relay-error.js'

/** The number of bytes that a refused sender may still send before its connection is closed. */
const MAX_DISCARDED_BYTES = 64 * 1024 * 1024
const MAX_DISCARD_MS = 5_000

/** Whether the request says that a body follows. */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

/**
 * Says `100 Continue` to a sender that waits for it before it sends the body. Once, when all that comes before the
 * body is in order.
 */
export function sayContinue(request: IncomingMessage, response: ServerResponse): void {
  if (!waitsForContinue(request)) return
  response.writeContinue()
  delete request.headers.expect // from here on the body comes
}

/**
 * Whether the sender waits for `100 Continue`. A sender of HTTP/1.0 does not, whatever it says: it knows no answer
 * before the answer (RFC 9110, section 10.1.1).
 */
function waitsForContinue({ headers, httpVersion }: IncomingMessage): boolean {
  return headers.expect !== undefined && httpVersion !== '1.0'
}

/**
 * A file's signature is over its bytes as they are, and a form that can't be read would be an empty one, which means
 * something. So no coding is undone.
 * @throws {RelayError} UNSUPPORTED_MEDIA
 */
export function checkNotEncoded({ headers }: IncomingMessage): void {
  const encoding = headers['content-encoding'] ?? ''
  if (!encoding.split(',').every(isNoCoding)) {
    throw new RelayError('UNSUPPORTED_MEDIA', `content-encoding ${encoding.slice(0, 40)}: send the bytes as they are`)
  }
}

function isNoCoding(coding: string): boolean {
  const name = coding.trim().toLowerCase() // no regular expression: two of `\s*` try each way to share many blanks
  return name === '' || name === 'identity'
}

/** Ends the reading of a body with an error, where it is being read. To destroy it would take the answer along. */
export function failBody(payload: RequestPayload, error: RelayError): void {
  if (payload.listenerCount('error') > 0) payload.emit('error', error)
}

/**
 * Reads and drops what a refused sender goes on sending, within bounds, since a client that reads only after it has
 * sent everything would otherwise hang, or have its connection reset, and never see the answer. So the connection is
 * kept for the moment, though the sender wants it closed: Node would do so once the answer is written.
 */
export function discardRest(request: IncomingMessage, response: ServerResponse): void {
  if (!hasBody(request) || request.complete || request.destroyed) return
  if (waitsForContinue(request)) {
    response.setHeader('connection', 'close') // it was not told to continue, so nothing is under way
    return
  }
  const { socket } = request
  const closeAfter = !response.shouldKeepAlive
  response.shouldKeepAlive = true
  request.unpipe()
  let bytes = 0
  const end = () => {
    clearTimeout(timer)
    request.off('data', count)
    socket.off('close', end)
  }
  const giveUp = () => {
    end()
    request.destroy()
  }
  const count = (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > MAX_DISCARDED_BYTES) giveUp()
  }
  const timer = setTimeout(giveUp, MAX_DISCARD_MS)
  request.on('data', count)
  request.once('end', () => {
    end()
    if (closeAfter) whenFinished(response, () => socket.end())
  })
  request.once('close', end)
  socket.once('close', end) // an answered request no longer hears of it
  request.resume()
}

function whenFinished(response: ServerResponse, act: () => void): void {
  if (response.writableFinished) act()
  else response.once('finish', act)
}
