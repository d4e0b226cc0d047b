import { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { RelayError } from '../../../values/failures/relay-error.js'
import type { AfterAnswer } from './after-answer.js'

/** The end of a stopping relay's connections, and of requests that still come over them. */
export interface Draining {
  /** @throws {RelayError} STOPPING, once the relay stops: a request that begins now may not be carried out to its end */
  checkNotStopping(): void
  /**
   * Closes each connection after the answer under way on it, once the relay stops. Node closes those that are idle at
   * that moment alone, and a caller that keeps its connection open would hold the stop up to its limit.
   */
  readonly afterAnswer: AfterAnswer
}

export function createDraining(app: FastifyInstance): Draining {
  let isStopping = false
  app.addHook('preClose', done => {
    isStopping = true
    done()
  })
  return {
    checkNotStopping() {
      if (isStopping) throw new RelayError('STOPPING', 'the relay is stopping; try again in a moment')
    },
    afterAnswer({ raw }) {
      if (!isStopping) return
      const { socket } = raw
      if (!(socket instanceof Socket)) return
      if (raw.complete) socket.destroySoon()
      else raw.once('end', () => socket.destroySoon()) // refused before its end: the sender should see why
    }
  }
}
