import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PACKAGE_ROOT } from '../../process/package-root.js'
import { UnreadAnswers } from '../answers/ends/unread-answers.js'
import { metricsAnswer } from '../answers/metrics-answer.js'
import { type Routes, Type } from '../schema.js'
import type { Services } from '../services.js'

const OPENAPI_FILE = join(PACKAGE_ROOT, 'docs', 'openapi.json')

/** The routes outside the prefixes: `GET /uuid`, `GET /metrics`, `GET /openapi.json`. */
export const observationRoutes: Routes<{ services: Pick<Services, 'config' | 'metrics'> }> = async (
  app,
  { services }
) => {
  const { metrics, config } = services
  const unread = new UnreadAnswers()

  app.get(
    '/uuid',
    {
      config: { access: 'open' },
      schema: {
        tags: ['system'],
        summary: 'The node id of this relay',
        produces: ['text/plain'],
        response: { 200: Type.String() }
      }
    },
    async (_request, reply) => reply.type('text/plain; charset=utf-8').send(config().general.nodeId)
  )

  app.get(
    '/metrics',
    {
      config: { access: 'observation' },
      schema: {
        tags: ['system'],
        summary: 'Prometheus metrics',
        produces: ['text/plain'],
        response: { 200: Type.String() }
      }
    },
    metricsAnswer(metrics, unread)
  )

  app.get(
    '/openapi.json',
    {
      config: { access: 'observation' },
      schema: {
        tags: ['system'],
        summary: 'This description',
        produces: ['application/json'],
        describedResponse: { 200: { type: 'object', description: 'OpenAPI 3.1' } }
      }
    },
    async (request, reply) => {
      const text = await readFile(OPENAPI_FILE, 'utf8')
      unread.hold(request, reply)
      return reply.type('application/json').send(text)
    }
  )
}
