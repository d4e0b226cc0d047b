import { Readable } from 'node:stream'
import { RelayError } from '../values/failures/relay-error.js'

/** Relays that are sent their trees at once. */
export const MAX_ANSWERS = 64
/** Trees sent at once to local callers and administrators, besides those of relays. */
export const MAX_ANSWERS_TO_ADMINISTRATORS = 8

/**
 * Counts the trees under way, until all of one is taken or its reader goes. A relay has one place: its next request ends
 * the one before, which nobody reads any more when the relay connects again.
 */
export class AnswerPlaces {
  readonly #byRelay = new Map<string, Readable>()
  #administrators = 0

  /**
   * @param relay who is sent the tree; undefined for an administrator
   * @throws {RelayError} BUSY when there is no place
   */
  check(relay: string | undefined): void {
    const isFull =
      relay === undefined
        ? this.#administrators >= MAX_ANSWERS_TO_ADMINISTRATORS
        : !this.#byRelay.has(relay) && this.#byRelay.size >= MAX_ANSWERS
    if (!isFull) return
    const held = relay === undefined ? this.#administrators : this.#byRelay.size
    throw new RelayError('BUSY', `${held} trees are being sent already; ask again in a moment`)
  }

  /**
   * Takes the place, for as long as the stream that it returns is open.
   * @throws {RelayError} BUSY when there is no place
   */
  send(relay: string | undefined, pieces: AsyncIterable<Buffer>): Readable {
    this.check(relay)
    const body = Readable.from(pieces, { objectMode: false })
    body.on('error', () => undefined) // whoever reads it is told; it may end before anybody does
    if (relay === undefined) {
      this.#administrators += 1
      body.once('close', () => {
        this.#administrators -= 1
      })
      return body
    }
    this.#byRelay.get(relay)?.destroy(new RelayError('BUSY', `${relay} has asked for its tree again`))
    this.#byRelay.set(relay, body)
    body.once('close', () => {
      if (this.#byRelay.get(relay) === body) this.#byRelay.delete(relay)
    })
    return body
  }
}
