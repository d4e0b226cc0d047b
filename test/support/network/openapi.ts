import swagger from '@fastify/swagger'
import pino from 'pino'
import { buildApp } from '../../../src/api/app.js'
import { VERSION } from '../../../src/process/version.js'
import { makeRelayParts } from '../parts/relay-parts.js'

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
          const querystring = schema?.describedQuerystring ?? schema?.querystring
          const described = {
            ...(body === undefined ? {} : { body }),
            ...(querystring === undefined ? {} : { querystring })
          }
          return { schema: { ...schema, ...described, hide: isImplied }, url }
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
    return withFailures(withOptionalBodies(app.swagger()))
  } finally {
    await app.close()
    await parts.close()
  }
}

/** The parts of it that are looked at. */
interface Description {
  readonly paths?: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

interface Operation {
  readonly requestBody?: RequestBody
  readonly responses?: Record<string, object>
}

interface RequestBody {
  required?: boolean
  readonly content: Readonly<Record<string, { readonly schema?: object }>>
}

const FAILURE = {
  type: 'object',
  properties: {
    code: { type: 'string', description: 'stable' },
    message: { type: 'string', description: 'what is wrong, with which value, and what to do' },
    requestId: { type: 'string' }
  },
  required: ['code', 'message', 'requestId']
}

/** Every route can be refused, and fail: in one form, of which the text is for whoever does not ask for JSON. */
function withFailures(description: object): object {
  const { paths = {} }: Description = description
  for (const [method, { responses = {} }] of Object.values(paths).flatMap(methods => Object.entries(methods))) {
    const content =
      method === 'head'
        ? {}
        : { content: { 'text/plain': { schema: { type: 'string' } }, 'application/json': { schema: FAILURE } } }
    responses['4XX'] ??= { description: 'Refused; nothing has changed', ...content }
    responses['5XX'] ??= { description: 'Failed, or not possible now', ...content }
  }
  return description
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
