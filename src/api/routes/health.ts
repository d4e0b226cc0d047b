import { metricsAnswer } from '../answers/metrics-answer.js'
import { type Routes, Type } from '../schema.js'
import type { Services } from '../services.js'

const Health = Type.Object({ status: Type.String(), reason: Type.Optional(Type.String()) })

/** The routes of probes, outside the prefixes: `GET /v1/system/alive`, `ready` and `metrics`. */
export const healthRoutes: Routes<{ services: Pick<Services, 'metrics' | 'ownLink' | 'system'> }> = async (
  app,
  { services }
) => {
  const { metrics, ownLink, system } = services
  const tags = ['system']

  app.get(
    '/v1/system/alive',
    { config: { access: 'open' }, schema: { tags, summary: 'Whether the process serves', response: { 200: Health } } },
    async () => ({ status: 'alive' })
  )
  app.get(
    '/v1/system/ready',
    {
      config: { access: 'open' },
      schema: {
        tags,
        summary:
          'Whether it is of use: it has a tree, its disks take what comes, its own link stands where it holds one',
        response: { 200: Health, 500: Health }
      }
    },
    async (_request, reply) => {
      // Anyone may ask, so no names and addresses: these are in the log, and in system/status.
      const noLink = ownLink()?.isConnected === false ? 'the link to the policy server does not stand' : undefined
      const reason = (await system.unreadiness()) ?? noLink
      return reason === undefined ? { status: 'ready' } : reply.code(500).send({ status: 'not ready', reason })
    }
  )
  app.get(
    '/v1/system/metrics',
    {
      config: { access: 'observation' },
      schema: {
        tags,
        summary: 'Prometheus metrics, as under /metrics',
        produces: ['text/plain'],
        response: { 200: Type.String() }
      }
    },
    metricsAnswer(metrics)
  )
}
