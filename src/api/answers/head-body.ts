import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'

/**
 * Ends the body of an answer to a HEAD before any of it is made. Fastify answers HEAD on each route of a GET, and reads the
 * body to its end for nobody: a list of thousands would go on being made for a caller that has its answer.
 */
export function installHeadBody(app: FastifyInstance): void {
  app.addHook('onSend', (request, _reply, payload, done) => {
    if (request.method !== 'HEAD' || !(payload instanceof Readable)) {
      done(null, payload)
      return
    }
    payload.on('error', () => undefined) // of what is given up
    payload.destroy()
    done(null, Readable.from([]))
  })
}
