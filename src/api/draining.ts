import { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'

/**
 * Once the relay stops, a connection is closed after the answer that was under way on it. Node closes those that are
 * idle at that moment alone, and a caller that keeps its connection open would hold the stop up to its limit.
 */
export function installDraining(app: FastifyInstance): void {
  let isStopping = false
  app.addHook('preClose', done => {
    isStopping = true
    done()
  })
  app.addHook('onResponse', ({ raw }, _reply, done) => {
    const { socket } = raw
    if (isStopping && socket instanceof Socket) {
      if (raw.complete) socket.destroySoon()
      else raw.once('end', () => socket.destroySoon()) // refused before its end: the sender should see why
    }
    done()
  })
}
