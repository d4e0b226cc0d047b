import type { Standing } from '../caller.js'
import { SourceQueue } from './source-queue.js'

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
 * reserved for callers that are known. Of these a relay may hold half of what is free, a node an eighth, beyond what it
 * would get as a stranger: a sixteenth of all slots is left to trusted callers.
 *
 * Some ten sources can take all that strangers may have. Where work can be ended, the oldest of the source with the most
 * yields its slot then to a source that has none, or fewer; where it cannot, newcomers are refused until one is given
 * back. Strangers take none from relays and nodes, nor these from them.
 */
export class FairSlots {
  readonly #heldBySource = new Map<string, number>()
  readonly #ofStrangers = new SourceQueue<() => void>()
  readonly #ofNeighbours = new SourceQueue<() => void>()
  #held = 0

  /** @param capacity slots in all, at least 1 */
  constructor(readonly capacity: number) {}

  /** Slots that are taken. */
  get held(): number {
    return this.#held
  }

  /**
   * @param source whom a caller is told apart by: its id, or its address
   * @param onEvicted ends the work of a caller that is not trusted, whose slot another one has from now on; without it
   * the slot is kept until it is given back
   * @returns undefined when there is none for this caller
   */
  take(source: string, standing: Standing, onEvicted?: () => void): ReleaseSlot | undefined {
    if (standing === 'trusted') return this.#held < this.capacity ? this.#hold(undefined) : undefined
    const held = this.#heldBySource.get(source) ?? 0
    if (held >= this.#shareOf(standing) && !this.#evictFor(source, standing, held)) return undefined
    const release = this.#hold(source)
    return onEvicted === undefined ? release : this.#letEvict(source, standing, release, onEvicted)
  }

  /** The slots that a source may hold, as it is now. */
  #shareOf(standing: Exclude<Standing, 'trusted'>): number {
    const ofStranger = shareOfStrangers(this.capacity, this.#held)
    if (standing === 'stranger') return ofStranger
    const free = this.capacity - this.#held - Math.floor(this.capacity / 16)
    return standing === 'relay' ? free : Math.max(ofStranger, free / 8)
  }

  #evictFor(source: string, standing: Standing, held: number): boolean {
    if (standing === 'node' && held > 0) return false // or it would get as much as a relay
    const evict = this.#evictableBy(standing).oldestDueTo(source)
    evict?.()
    return evict !== undefined
  }

  #evictableBy(standing: Standing): SourceQueue<() => void> {
    return standing === 'stranger' ? this.#ofStrangers : this.#ofNeighbours
  }

  #letEvict(source: string, standing: Standing, release: ReleaseSlot, onEvicted: () => void): ReleaseSlot {
    const queue = this.#evictableBy(standing)
    const giveBack = () => {
      queue.delete(source, evict)
      release()
    }
    const evict = () => {
      giveBack()
      onEvicted()
    }
    queue.add(source, evict)
    return Object.assign(giveBack, { keep: () => queue.delete(source, evict) })
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
