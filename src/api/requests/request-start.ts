import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { RELAY_HEADER, REQUEST_ID_HEADER } from '../../network/header-names.js'
import { VERSION } from '../../process/version.js'

/** Declares what the first hook of an application notes on each request: the caller, and the moment of its beginning. */
export function decorateRequests(app: FastifyInstance): void {
  app.decorateRequest('caller')
  app.decorateRequest('begunAt', 0)
}

/** Puts on each answer, of a refusal too, who answers and the id of the request, and notes when the request began. */
export function startRequest(request: FastifyRequest, reply: FastifyReply): void {
  reply.header(RELAY_HEADER, VERSION)
  reply.header(REQUEST_ID_HEADER, request.id)
  request.begunAt = performance.now()
}
