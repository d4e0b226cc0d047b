import { SourceQueue } from './network/source-queue.js'

/** Gives a slot back; harmless when called again. */
export interface ReleaseSlot {
  (): void
  /** From now on the slot goes to nobody else until it is given back. */
  readonly keep?: () => void
}

/**
 * The number of slots that one source of strangers may hold, as {@link FairSlots} shares them.
 * @param held slots that are taken, of `capacity`
 */
export function shareOfStrangers(capacity: number, held: number): number {
  return capacity - held - Math.floor(capacity / 4)
}

/**
 * Slots for work that is done at once, shared so that no source can take them all. A stranger's source may hold as many
 * as would still be free for others: alone it gets half, the second one half of what is left. A quarter of the slots is
 * reserved for callers that are known.
 *
 * Some ten sources can take all that strangers may have. Where work can be ended, the oldest of the source with the most
 * yields its slot then to a source that has none, or fewer; where it cannot, newcomers are refused until one is given
 * back.
 */
export class FairSlots {
  readonly #heldBySource = new Map<string, number>()
  readonly #evictable = new SourceQueue<() => void>()
  #held = 0

  /** @param capacity slots in all, at least 1 */
  constructor(readonly capacity: number) {}

  /** Slots that are taken. */
  get held(): number {
    return this.#held
  }

  /**
   * @param source whom a stranger is told apart by, such as an address
   * @param isKnown a caller that may take any free slot
   * @param onEvicted ends the work of a stranger, whose slot another one has from now on; without it the slot is kept
   * until it is given back
   * @returns undefined when there is none for this caller
   */
  take(source: string, isKnown: boolean, onEvicted?: () => void): ReleaseSlot | undefined {
    const free = this.capacity - this.#held
    if (isKnown) return free > 0 ? this.#hold(undefined) : undefined
    const share = shareOfStrangers(this.capacity, this.#held)
    const held = this.#heldBySource.get(source) ?? 0
    if (held >= share && !this.#evictFor(source)) return undefined
    const release = this.#hold(source)
    return onEvicted === undefined ? release : this.#letEvict(source, release, onEvicted)
  }

  #evictFor(source: string): boolean {
    const evict = this.#evictable.oldestDueTo(source)
    evict?.()
    return evict !== undefined
  }

  #letEvict(source: string, release: ReleaseSlot, onEvicted: () => void): ReleaseSlot {
    const giveBack = () => {
      this.#evictable.delete(source, evict)
      release()
    }
    const evict = () => {
      giveBack()
      onEvicted()
    }
    this.#evictable.add(source, evict)
    return Object.assign(giveBack, { keep: () => this.#evictable.delete(source, evict) })
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
