import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

/** What changes something is worth a line each; what only asks (every agent, all day) is not, unless one looks. */
const CHANGING = new Set(['PUT', 'POST', 'DELETE'])

/** A line per request: at `info` for those that change something, else at `debug`. */
export function installRequestLog(app: FastifyInstance): void {
  app.addHook('onResponse', (request, reply, done) => {
    if (CHANGING.has(request.method)) request.log.info(summary(request, reply), 'answered')
    else if (request.log.level === 'debug' || request.log.level === 'trace') {
      request.log.debug(summary(request, reply), 'answered')
    }
    done()
  })
}

function summary(request: FastifyRequest, reply: FastifyReply): object {
  return {
    reqId: request.id,
    method: request.method,
    path: request.originalUrl.split('?', 1)[0]?.slice(0, 500),
    status: reply.statusCode,
    durationMs: Math.round(reply.elapsedTime),
    caller: request.caller?.id ?? request.caller?.kind,
    address: request.caller?.address
  }
}
