import { type Routes, Type } from '../schema.js'
import type { Services } from '../services.js'

const Health = Type.Object({ status: Type.String(), reason: Type.Optional(Type.String()) })

/** What probes ask, outside the prefixes: `GET /v1/system/alive`, `ready` and `metrics`. */
export const healthRoutes: Routes<{ services: Services }> = async (app, { services }) => {
  const { metrics, ownLink } = services
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
        summary: 'Whether it is of use: its own link stands, where it holds one',
        response: { 200: Health, 500: Health }
      }
    },
    async (_request, reply) => {
      if (ownLink()?.isConnected !== false) return { status: 'ready' }
      // Anyone may ask, so not where it leads, nor what went wrong: that is in the log.
      return reply.code(500).send({ status: 'not ready', reason: 'the link to the policy server does not stand' })
    }
  )
  app.get(
    '/v1/system/metrics',
    {
      config: { access: 'observation' },
      schema: { tags, summary: 'Prometheus metrics, as under /metrics', response: { 200: Type.String() } }
    },
    async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text())
  )
}
