import type { FastifyReply, FastifyRequest } from 'fastify'
import { sharerOf } from '../../../network/caller.js'
import { FairSlots } from '../../../network/sources/fair-slots.js'
import { RelayError } from '../../../values/failures/relay-error.js'
import { limitStalledReader } from '../reader-limit.js'
import { onAnswerEnd } from './answer-end.js'

/** Answers made whole that their callers have not taken yet, shared among the sources. */
export const MAX_UNREAD_ANSWERS = 128

/**
 * The answers that are in memory whole until their callers take them. Each caller may have many connections, and read
 * from none of them.
 */
export class UnreadAnswers {
  readonly #slots: FairSlots

  constructor(capacity = MAX_UNREAD_ANSWERS) {
    this.#slots = new FairSlots(capacity)
  }

  /**
   * Counts an answer until it is taken; to be called right before it is sent. It ends, with its connection, where a
   * source that has fewer needs its slot, or where its reader takes nothing for long.
   * @throws {RelayError} BUSY
   */
  hold(request: Pick<FastifyRequest, 'caller' | 'raw'>, { raw: response }: Pick<FastifyReply, 'raw'>): void {
    const { caller, raw } = request
    const { socket } = raw
    const { source, standing } = sharerOf(caller)
    const release = this.#slots.take(source, standing, () => socket.destroy())
    if (release === undefined) {
      throw new RelayError(
        'BUSY',
        `${this.#slots.held} answers have not been read yet; read them, or ask again in a moment`
      )
    }
    onAnswerEnd(response, release)
    limitStalledReader(response, socket)
  }
}
