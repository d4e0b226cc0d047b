import swagger from '@fastify/swagger'
import pino from 'pino'
import { buildApp } from '../../src/api/app.js'
import { VERSION } from '../../src/values/version.js'
import { makeRelayParts } from './relay-parts.js'

/** The prefix that the description shows; the same routes answer under the others too. */
const SHOWN_PREFIX = '/rudder/relay-api/'
const LOCAL_PREFIX = '/rudder/relay-api/1/'
const WITHOUT_PREFIX = new Set(['/uuid', '/metrics', '/openapi.json'])

/** Makes the OpenAPI 3.1 description from the schemas of all routes. */
export async function describeApi(): Promise<object> {
  const parts = await makeRelayParts()
  const app = await buildApp({
    services: parts.services,
    logger: pino({ level: 'silent' }),
    beforeRoutes: async scope => {
      await scope.register(swagger, {
        openapi: {
          openapi: '3.1.0',
          info: {
            title: 'Treeline relay API',
            version: VERSION,
            license: { name: 'Apache-2.0', identifier: 'Apache-2.0' }
          }
        },
        transform: ({ schema, url }) => ({ schema: { ...schema, hide: !isShown(url) }, url })
      })
    }
  })
  try {
    await app.ready()
    return app.swagger()
  } finally {
    await app.close()
    await parts.close()
  }
}

function isShown(url: string): boolean {
  return WITHOUT_PREFIX.has(url) || (url.startsWith(SHOWN_PREFIX) && !url.startsWith(LOCAL_PREFIX))
}
