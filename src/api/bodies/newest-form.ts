import type { FastifyReply, FastifyRequest, RequestPayload } from 'fastify'
import { sharerOf } from '../../network/caller.js'
import { RelayError } from '../../values/failures/relay-error.js'
import { onAnswerEnd } from '../answers/ends/answer-end.js'
import { failBody } from './request-body.js'

/**
 * The forms of a route of which each caller sends one at a time, as a newer one says all that an older one does. One that
 * is still on its way when the next comes fails with a BUSY.
 */
export class NewestForm {
  readonly #byCaller = new Map<string, (error: RelayError) => void>()

  /** A hook of the route, before the form is read. */
  readonly preParsing = (
    request: FastifyRequest,
    reply: FastifyReply,
    payload: RequestPayload,
    done: (error?: Error | null, payload?: RequestPayload) => void
  ): void => {
    const { source } = sharerOf(request.caller)
    this.#byCaller.get(source)?.(
      new RelayError('BUSY', 'another one came before this one was complete; send one at a time')
    )
    const end = (error: RelayError) => failBody(payload, error)
    const forget = () => {
      if (this.#byCaller.get(source) === end) this.#byCaller.delete(source)
    }
    this.#byCaller.set(source, end)
    payload.once('end', forget)
    onAnswerEnd(reply.raw, forget)
    done(null, payload)
  }
}
