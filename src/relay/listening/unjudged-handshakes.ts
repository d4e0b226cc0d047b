import type { Socket } from 'node:net'

/**
 * Handshakes under way of a source of which one has cost little. As many as there are slots: thousands of devices may
 * share an address, each handshake waits for a caller far away, and the first costly one ends the others.
 */
const MAX_OF_USUAL_SOURCE = 16
/** Sources of which it is known what their handshakes cost. The oldest ones are forgotten. */
const MAX_JUDGED_SOURCES = 20_000

/** What a handshake was in the end. */
export type Outcome = 'cheap' | 'costly' | 'failed'

/** A handshake of which it is not known yet what it costs. */
export interface Unjudged {
  readonly socket: Socket
  readonly source: string
  readonly atMs: number
  readonly busyBeforeMs: number
  /** That the caller had sent when it began. */
  readonly bytesBefore: number
}

/**
 * The handshakes that have begun and not ended. What a handshake costs shows only afterwards, so that a source may
 * begin one meanwhile, and some more once one has cost little.
 */
export class UnjudgedHandshakes {
  readonly #byName = new Map<string, Unjudged>()
  readonly #bySource = new Map<string, Set<Unjudged>>()
  readonly #allowed = new Map<string, number>()

  isFull(source: string): boolean {
    return (this.#bySource.get(source)?.size ?? 0) >= (this.#allowed.get(source) ?? 1)
  }

  /** @param name by which {@link end} finds it */
  begin(name: string, handshake: Unjudged): void {
    const { source } = handshake
    this.#byName.set(name, handshake)
    this.#bySource.set(source, (this.#bySource.get(source) ?? new Set()).add(handshake))
  }

  get(name: string): Unjudged | undefined {
    return this.#byName.get(name)
  }

  /** Those of a source, the oldest first. */
  of(source: string): Iterable<Unjudged> {
    return this.#bySource.get(source) ?? []
  }

  /** The one of a source that takes longest. */
  oldestOf(source: string): Unjudged | undefined {
    return this.#bySource.get(source)?.values().next().value
  }

  end(name: string, outcome: Outcome): void {
    const handshake = this.#byName.get(name)
    if (handshake === undefined) return
    const { source } = handshake
    this.#byName.delete(name)
    const others = this.#bySource.get(source)
    others?.delete(handshake)
    if (others?.size === 0) this.#bySource.delete(source)
    this.#note(source, outcome)
  }

  /** One that had a costly certificate is trusted with one at a time from then on. */
  #note(source: string, outcome: Outcome): void {
    const before = this.#allowed.get(source)
    this.#allowed.delete(source)
    if (outcome === 'costly' || before === 1) this.#allowed.set(source, 1)
    else if (outcome === 'cheap') this.#allowed.set(source, MAX_OF_USUAL_SOURCE)
    const [oldest] = this.#allowed.keys()
    if (oldest !== undefined && this.#allowed.size > MAX_JUDGED_SOURCES) this.#allowed.delete(oldest)
  }
}
