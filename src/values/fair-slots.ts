/** Gives a slot back; harmless when called again. */
export type ReleaseSlot = () => void

/**
 * Slots for work that is done at once, shared so that nobody can take them all. A stranger's source may hold as many
 * as would still be free for others: alone it gets half, the second one half of what is left, so there is always a slot
 * for a source that has none. A quarter of the slots is reserved for callers that are known.
 */
export class FairSlots {
  readonly #reserved: number
  readonly #heldBySource = new Map<string, number>()
  #held = 0

  /** @param capacity slots in all, at least 1 */
  constructor(readonly capacity: number) {
    this.#reserved = Math.floor(capacity / 4)
  }

  /** Slots that are taken. */
  get held(): number {
    return this.#held
  }

  /**
   * @param source whom a stranger is told apart by, such as an address
   * @param isKnown a caller that may take any free slot
   * @returns undefined when there is none for this caller
   */
  take(source: string, isKnown: boolean): ReleaseSlot | undefined {
    const free = this.capacity - this.#held
    if (free <= 0) return undefined
    if (isKnown) return this.#hold(undefined)
    const share = free - this.#reserved
    const held = this.#heldBySource.get(source) ?? 0
    if (share <= 0 || held >= share) return undefined
    return this.#hold(source)
  }

  #hold(source: string | undefined): ReleaseSlot {
    this.#count(source, 1)
    let isReleased = false
    return () => {
      if (isReleased) return
      isReleased = true
      this.#count(source, -1)
    }
  }

  #count(source: string | undefined, change: 1 | -1): void {
    this.#held += change
    if (source === undefined) return
    const held = (this.#heldBySource.get(source) ?? 0) + change
    if (held > 0) this.#heldBySource.set(source, held)
    else this.#heldBySource.delete(source)
  }
}
