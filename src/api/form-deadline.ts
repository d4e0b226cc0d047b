import type { FastifyInstance, FastifyReply, FastifyRequest, RequestPayload } from 'fastify'
import { RelayError } from '../values/relay-error.js'

/**
 * Gives the body of every POST, which is short and read whole, a time limit: 408 beyond. The server's own limit is off,
 * since the body of a PUT may take long.
 */
export function installFormDeadline(app: FastifyInstance, limitMs: number): void {
  function limit(
    request: FastifyRequest,
    reply: FastifyReply,
    payload: RequestPayload,
    done: (error: null, payload: RequestPayload) => void
  ): void {
    if (hasBody(request)) {
      const timer = setTimeout(() => {
        reply.raw.setHeader('connection', 'close')
        const tooSlow = new RelayError('CLIENT_TOO_SLOW', `the body did not come within ${limitMs} ms`)
        payload.emit('error', tooSlow) // destroying it would take the connection along, and the answer
      }, limitMs)
      const stop = () => clearTimeout(timer)
      payload.once('end', stop)
      reply.raw.once('close', stop)
      reply.raw.once('finish', stop)
    }
    done(null, payload)
  }

  app.addHook('onRoute', route => {
    if (route.method !== 'POST') return
    const own = route.preParsing === undefined ? [] : [route.preParsing].flat()
    route.preParsing = [limit, ...own]
  })
}

function hasBody({ headers }: FastifyRequest): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}
