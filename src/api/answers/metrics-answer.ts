import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Metrics } from '../metrics/metrics.js'
import { UnreadAnswers } from './ends/unread-answers.js'

/** Makes the handler that answers with all metrics. @param unread bounds the answers that wait for their readers */
export function metricsAnswer(metrics: Pick<Metrics, 'text' | 'contentType'>, unread = new UnreadAnswers()) {
  return async (request: FastifyRequest, reply: FastifyReply) => {
    const text = await metrics.text()
    unread.hold(request, reply)
    return reply.type(metrics.contentType).send(text)
  }
}
