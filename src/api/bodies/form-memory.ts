import type { FastifyReply, FastifyRequest, RequestPayload } from 'fastify'
import { type Sharer, sharerOf } from '../../network/caller.js'
import { FairSlots, type ReleaseSlot } from '../../network/sources/fair-slots.js'
import { RelayError } from '../../values/failures/relay-error.js'
import { onAnswerEnd } from '../answers/ends/answer-end.js'
import { failBody } from './request-body.js'

/** Bytes of forms that are in memory, shared among the sources: of those on their way in, and of requests under way. */
export const MAX_FORMS_BYTES = 64 * 1024 * 1024
/** Memory is given in pieces of this size. Most forms fit into one. */
export const FORM_PIECE_BYTES = 16 * 1024

const counted = new WeakMap<FastifyRequest, FormInMemory>()

/**
 * The memory for forms, which are read whole. A form takes it piece by piece as its bytes come, so that one that is
 * announced and not sent takes none, and keeps it until its request is answered. While it comes, it yields to a source
 * that holds less.
 */
export class FormMemory {
  readonly #slots = new FairSlots(MAX_FORMS_BYTES / FORM_PIECE_BYTES)

  /** Counts the body of a request, of which nothing was read. Without memory for it, its reading fails with a BUSY. */
  count(request: FastifyRequest, reply: FastifyReply, payload: RequestPayload): void {
    const form = new FormInMemory(this.#slots, sharerOf(request.caller), request.caller.address, payload)
    counted.set(request, form)
    payload.on('data', (chunk: Buffer | string) => {
      if (!reply.raw.headersSent) form.add(chunk.length) // else it was refused, and the rest is dropped
    })
    payload.once('end', () => form.keep())
    onAnswerEnd(reply.raw, () => form.release())
  }
}

/**
 * Drops the form of a request that goes on for long, and gives its memory back. The work that it has begun has a bound of
 * its own.
 */
export function dropForm(request: FastifyRequest): void {
  request.body = undefined
  counted.get(request)?.release()
}

class FormInMemory {
  #held: ReleaseSlot[] = []
  #bytes = 0
  #isOver = false

  constructor(
    private readonly slots: FairSlots,
    private readonly sharer: Sharer,
    private readonly address: string,
    private readonly payload: RequestPayload
  ) {}

  add(bytes: number): void {
    this.#bytes += bytes
    while (!this.#isOver && this.#held.length * FORM_PIECE_BYTES < this.#bytes) {
      const { source, standing } = this.sharer
      const piece = this.slots.take(source, standing, () => this.#refuse(evictedError()))
      if (piece === undefined) this.#refuse(this.#busyError())
      else this.#held.push(piece)
    }
  }

  /** Once it is whole, its memory goes to nobody else. */
  keep(): void {
    for (const piece of this.#held) piece.keep?.()
  }

  release(): void {
    this.#isOver = true
    for (const piece of this.#held) piece()
    this.#held = []
  }

  #refuse(error: RelayError): void {
    if (this.#isOver) return
    this.release()
    process.nextTick(failBody, this.payload, error) // whoever reads it takes this piece first
  }

  #busyError(): RelayError {
    const mib = Math.round((this.slots.held * FORM_PIECE_BYTES) / 2 ** 20)
    const many = this.slots.held < this.slots.capacity ? `, too many of them from ${this.address}` : ''
    return new RelayError('BUSY', `forms of ${mib} MiB are being read already${many}; try again in a moment`)
  }
}

function evictedError(): RelayError {
  return new RelayError(
    'BUSY',
    'too many forms are being read, and this one was not complete when another sender needed its memory; try again in a moment'
  )
}
