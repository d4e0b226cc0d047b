import { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { AfterAnswer } from './after-answer.js'

/**
 * Closes each connection after the answer under way on it, once the relay stops. Node closes those that are idle at
 * that moment alone, and a caller that keeps its connection open would hold the stop up to its limit.
 */
export function createDraining(app: FastifyInstance): AfterAnswer {
  let isStopping = false
  app.addHook('preClose', done => {
    isStopping = true
    done()
  })
  return ({ raw }) => {
    if (!isStopping) return
    const { socket } = raw
    if (!(socket instanceof Socket)) return
    if (raw.complete) socket.destroySoon()
    else raw.once('end', () => socket.destroySoon()) // refused before its end: the sender should see why
  }
}
