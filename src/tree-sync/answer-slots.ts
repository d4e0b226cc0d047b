import { Readable } from 'node:stream'
import { RelayError } from '../values/failures/relay-error.js'

/** Relays that are sent their trees at once. */
export const MAX_ANSWERS = 64
/** Trees sent at once to local callers and administrators, besides those of relays. */
export const MAX_ANSWERS_TO_ADMINISTRATORS = 8

/**
 * How long an answer may go without a piece being taken, when another one needs its slot. The system takes some 1.6 MB at
 * once where it has grown its buffers, and a reader at a thin uplink needs a while for that before the next piece is taken.
 */
export const STALLED_ANSWER_MS = 120_000

/**
 * The trees under way, until all of one is taken or its reader goes. A relay has one slot: its next request ends the
 * one before, which nobody reads any more when the relay connects again. An answer that nobody reads for a while yields
 * its slot to another one.
 */
export class AnswerSlots {
  readonly #relays: Slots
  readonly #administrators: Slots

  constructor(now: () => number = () => performance.now()) {
    this.#relays = new Slots(MAX_ANSWERS, now)
    this.#administrators = new Slots(MAX_ANSWERS_TO_ADMINISTRATORS, now)
  }

  /**
   * @param relay who is sent the tree; undefined for an administrator
   * @throws {RelayError} BUSY when there is no slot
   */
  check(relay: string | undefined): void {
    if (relay === undefined) this.#administrators.check()
    else this.#relays.check(relay)
  }

  /**
   * Takes the slot, for as long as the stream that it returns is open.
   * @throws {RelayError} BUSY when there is no slot
   */
  send(relay: string | undefined, pieces: AsyncIterable<Buffer>): Readable {
    return relay === undefined ? this.#administrators.send(Symbol(), pieces) : this.#relays.send(relay, pieces)
  }

  /** Ends all answers, and with them what they hold. @returns the relays among their receivers */
  endAll(why: Error): string[] {
    this.#administrators.endAll(why)
    return this.#relays.endAll(why).flatMap(relay => (typeof relay === 'string' ? [relay] : []))
  }
}

interface Answer {
  readonly body: Readable
  takenAtMs: number
}

class Slots {
  readonly #answers = new Map<string | symbol, Answer>()

  constructor(
    private readonly capacity: number,
    private readonly now: () => number
  ) {}

  check(receiver?: string | symbol): void {
    if (receiver !== undefined && this.#answers.has(receiver)) return
    if (this.#answers.size < this.capacity || this.#stalled() !== undefined) return
    throw new RelayError('BUSY', `${this.#answers.size} trees are being sent already; ask again in a moment`)
  }

  send(receiver: string | symbol, pieces: AsyncIterable<Buffer>): Readable {
    this.check(receiver)
    const { now } = this
    const answer: Answer = {
      body: Readable.from(watched(), { objectMode: false }),
      takenAtMs: now()
    }
    async function* watched(): AsyncGenerator<Buffer> {
      for await (const piece of pieces) {
        answer.takenAtMs = now()
        yield piece
      }
    }
    const { body } = answer
    body.on('error', () => undefined) // whoever reads it is told; it may end before anybody does
    if (this.#answers.has(receiver)) this.#end(receiver, `${String(receiver)} has asked for its tree again`)
    else if (this.#answers.size >= this.capacity) {
      this.#end(this.#stalled(), 'another relay needed the slot of its tree, of which nothing was read for a while')
    }
    this.#answers.set(receiver, answer)
    body.once('close', () => {
      if (this.#answers.get(receiver) === answer) this.#answers.delete(receiver)
    })
    return body
  }

  endAll(why: Error): (string | symbol)[] {
    for (const { body } of this.#answers.values()) body.destroy(why)
    return [...this.#answers.keys()]
  }

  #end(receiver: string | symbol | undefined, why: string): void {
    if (receiver === undefined) return
    this.#answers.get(receiver)?.body.destroy(new RelayError('BUSY', why))
    this.#answers.delete(receiver)
  }

  /** The receiver who has taken nothing for longest, and for long enough. */
  #stalled(): string | symbol | undefined {
    let [longest, sinceMs]: [string | symbol | undefined, number] = [undefined, this.now() - STALLED_ANSWER_MS]
    for (const [receiver, { takenAtMs }] of this.#answers) {
      if (takenAtMs <= sinceMs) [longest, sinceMs] = [receiver, takenAtMs]
    }
    return longest
  }
}
