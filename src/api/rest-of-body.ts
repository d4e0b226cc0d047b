import type { IncomingMessage, ServerResponse } from 'node:http'

/** What a refused sender may still send, before its connection is closed. */
const MAX_DISCARDED_BYTES = 64 * 1024 * 1024
const MAX_DISCARD_MS = 5_000

/**
 * After a refusal: reads and drops what the sender goes on sending, within bounds, since a client that reads only
 * after it has sent everything would otherwise hang and never see the answer.
 */
export function discardRest(request: IncomingMessage, response: ServerResponse): void {
  if (request.readableEnded || request.destroyed) return
  response.setHeader('connection', 'close')
  request.unpipe()
  let bytes = 0
  const end = () => {
    clearTimeout(timer)
    request.off('data', count)
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
  request.once('end', end)
  request.once('close', end)
  request.resume()
}
