import { SourceQueue } from '../../../network/sources/source-queue.js'
import type { Transport } from '../../wire/transport.js'

/** Handshakes under way at once, at most. */
export const MAX_HANDSHAKES = 512
/** The time after which a handshake makes room for another when there are too many. */
const SLOW_AFTER_MS = 2_000

interface Begun {
  readonly source: string
  readonly atMs: number
}

/** The members of a transport that a handshake needs. */
type Endable = Pick<Transport, 'terminate' | 'close'>

/** The transports of which it is not known yet who opened them. */
export class PendingHandshakes {
  readonly #bySource = new SourceQueue<Endable>()
  readonly #begun = new Map<Endable, Begun>()
  /** Handshakes under way at once. */
  max = MAX_HANDSHAKES

  /** @param now in ms, of a clock that only goes forward */
  constructor(private readonly now: () => number) {}

  /**
   * Whether there is room for one more of a source. Where all slots are taken, the oldest of the source with the most of
   * them makes it for one that has fewer; for another of its own when it is slow. So a source that has none always
   * gets a slot, and what one source holds grows at no other's cost.
   */
  hasRoom(source: string): boolean {
    return this.#begun.size < this.max || this.#whoMakesRoom(source) !== undefined
  }

  /** Adds a handshake once there is room. @param source what it is told apart by from others */
  add(transport: Endable, source: string): void {
    const other = this.#begun.size < this.max ? undefined : this.#whoMakesRoom(source)
    if (other !== undefined) {
      this.remove(other)
      other.terminate()
    }
    this.#begun.set(transport, { source, atMs: this.now() })
    this.#bySource.add(source, transport)
  }

  #whoMakesRoom(source: string): Endable | undefined {
    const oldest = this.#bySource.oldestOfLargest()
    const begun = oldest === undefined ? undefined : this.#begun.get(oldest)
    const isSlow = begun !== undefined && this.now() - begun.atMs >= SLOW_AFTER_MS
    return isSlow ? oldest : this.#bySource.oldestDueTo(source)
  }

  remove(transport: Endable): void {
    const begun = this.#begun.get(transport)
    if (begun === undefined) return
    this.#begun.delete(transport)
    this.#bySource.delete(begun.source, transport)
  }

  /** @param code one of close codes of the protocol */
  endAll(code: number, reason: string): void {
    for (const transport of this.#begun.keys()) transport.close(code, reason)
  }
}
