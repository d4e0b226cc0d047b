import swagger from '@fastify/swagger'
import pino from 'pino'
import { failuresOf, PASS_REFUSALS_ON } from '../../../src/api/answers/described-failures.js'
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
          const response = { ...(schema?.response ?? {}), ...schema?.describedResponse }
          const described = {
            response,
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
  'x-passes-on'?: string
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
const FAILURE_CONTENT = {
  'text/plain': { schema: { type: 'string' } },
  'application/json': { schema: { $ref: '#/components/schemas/Failure' } }
}
const RETRY_AFTER = {
  'retry-after': { schema: { type: 'integer' }, description: 'seconds after which the caller may try again' }
}

/** Names the failures of every route: in one form, of which the text is for whoever does not ask for JSON. */
function withFailures(description: object): object {
  const { paths = {} }: Description = description
  const shared: Record<string, object> = {}
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const { responses = {} } = operation
      if (PASS_REFUSALS_ON.test(path))
        operation['x-passes-on'] = 'refusals of the next relay, with its own status of 4xx'
      for (const [status, meaning] of failuresOf({ method: method.toUpperCase(), path })) {
        const head = { description: meaning, ...(status === 503 ? { headers: RETRY_AFTER } : {}) }
        const own = responses[status]
        if (method === 'head') responses[status] = { ...head, ...own }
        else if (own !== undefined) responses[status] = { ...own, content: withOwnContent(own) }
        else {
          shared[`Failure${status}`] ??= { ...head, content: FAILURE_CONTENT }
          responses[status] = { $ref: `#/components/responses/Failure${status}` }
        }
      }
    }
  }
  return { ...description, components: { schemas: { Failure: FAILURE }, responses: sortByName(shared) } }
}

/** The content of a failure for which the route has an answer of its own as well. */
function withOwnContent({ content = {} }: { readonly content?: Record<string, { readonly schema: object }> }) {
  const both: Record<string, object> = { ...FAILURE_CONTENT, ...content }
  const own = content['application/json']
  if (own !== undefined) {
    both['application/json'] = { schema: { anyOf: [own.schema, FAILURE_CONTENT['application/json'].schema] } }
  }
  return both
}

function sortByName(record: Readonly<Record<string, object>>): Record<string, object> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)))
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
