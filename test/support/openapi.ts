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
      await scope.register(swagger, {
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
    return app.swagger()
  } finally {
    await app.close()
    await parts.close()
  }
}
