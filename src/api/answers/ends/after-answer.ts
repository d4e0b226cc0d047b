import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route calls what comes after an answer itself, which spares it the listeners that Fastify would add. */
    isHot?: boolean
  }
}

/** A function that is called after each answer. It must not throw. */
export type AfterAnswer = (request: FastifyRequest, reply: FastifyReply) => void

/**
 * Has `steps` done after every answer.
 * @returns the same as one function, for the routes that call it themselves
 */
export function installAfterAnswer(app: FastifyInstance, steps: readonly AfterAnswer[]): AfterAnswer {
  const all: AfterAnswer = (request, reply) => {
    for (const step of steps) step(request, reply)
  }
  app.addHook('onRoute', route => {
    if (route.config?.isHot === true) return
    const hook = (request: FastifyRequest, reply: FastifyReply, done: () => void) => {
      all(request, reply)
      done()
    }
    route.onResponse = [hook, ...[route.onResponse ?? []].flat()]
  })
  return all
}
