import swagger from '@fastify/swagger'
import pino from 'pino'
import { buildApp } from '../../src/api/app.js'
import { VERSION } from '../../src/values/version.js'
import { makeRelayParts } from './relay-parts.js'

/** Makes the OpenAPI 3.1 description from the schemas of all routes. */
export async function describeApi(): Promise<object> {
  const parts = await makeRelayParts()
  const app = await buildApp({
    services: parts.services,
    logger: pino({ level: 'silent' }),
    beforeRoutes: async scope => {
      const read = new Set<string>()
      await scope.register(swagger, {
        exposeHeadRoutes: true,
        transform: ({ schema, url, route }) => {
          if (route.method === 'GET') read.add(url)
          const isImplied = route.method === 'HEAD' && read.has(url) // Fastify's own, wherever there is GET
          const body = schema?.body ?? schema?.describedBody
          return { schema: { ...schema, ...(body === undefined ? {} : { body }), hide: isImplied }, url }
        },
        openapi: {
          openapi: '3.1.0',
          info: {
            title: 'Treeline relay API',
            version: VERSION,
            license: { name: 'Apache-2.0', identifier: 'Apache-2.0' }
          }
        }
      })
    }
  })
  try {
    await app.ready()
    return withOptionalBodies(app.swagger())
  } finally {
    await app.close()
    await parts.close()
  }
}

/** What is looked at of it. */
interface Description {
  readonly paths?: Readonly<Record<string, Readonly<Record<string, { readonly requestBody?: RequestBody }>>>>
}

interface RequestBody {
  required?: boolean
  readonly content: Readonly<Record<string, { readonly schema?: object }>>
}

/** @fastify/swagger says of every body that it has to be there; one without required members need not. */
function withOptionalBodies(description: object): object {
  const { paths = {} }: Description = description
  for (const { requestBody } of Object.values(paths).flatMap(methods => Object.values(methods))) {
    if (requestBody !== undefined) requestBody.required = Object.values(requestBody.content).some(isNeeded)
  }
  return description
}

function isNeeded({ schema = {} }: { readonly schema?: object }): boolean {
  return !('properties' in schema) || 'required' in schema
}
