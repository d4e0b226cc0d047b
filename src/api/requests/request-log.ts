import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from 'fastify'
import { sharerOf } from '../../network/caller.js'
import { LogLimit } from '../../values/logging/log-limit.js'
import type { AfterAnswer } from '../answers/ends/after-answer.js'

/**
 * Methods that change something and get a line in the log each; requests that only ask (every agent, all day) do not,
 * unless the level is lower.
 */
const CHANGING = new Set(['PUT', 'POST', 'DELETE'])

/** A line per request: at `info` for those that change something (refused ones within bounds), else at `debug`. */
export function createRequestLog(logger: FastifyBaseLogger): AfterAnswer {
  const refused = new LogLimit(logger)
  return (request, reply) => {
    if (CHANGING.has(request.method) && reply.raw.statusCode >= 400) {
      refused.info(sourceOfLine(request), summary(request, reply), 'answered')
      return
    }
    if (CHANGING.has(request.method)) logger.info(summary(request, reply), 'answered')
    else if (logger.level === 'debug' || logger.level === 'trace') logger.debug(summary(request, reply), 'answered')
  }
}

/** Names whom a line about a request is about, where lines are limited: a node has many addresses, an address many nodes. */
export function sourceOfLine({ caller }: FastifyRequest): string {
  return caller === undefined ? '' : sharerOf(caller).source // undefined where it failed before anyone was known
}

function summary(request: FastifyRequest, reply: FastifyReply): object {
  return {
    reqId: request.id,
    method: request.method,
    path: request.originalUrl.split('?', 1)[0]?.slice(0, 500),
    status: reply.raw.statusCode,
    durationMs: Math.round(performance.now() - request.begunAt),
    caller: request.caller?.id ?? request.caller?.kind,
    address: request.caller?.address
  }
}
