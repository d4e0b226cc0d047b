import type { Replica, ServiceWay } from './replica.js'

/** A replica as it is chosen. */
interface Slot {
  readonly way: ServiceWay
  /** Replicas behind this way, which share its streams. */
  weight: number
}

/** The replicas of one key that can be reached, and the choice among them. */
export class ReplicaChoice {
  readonly #replicas = new Set<Replica>()
  /** The nearest ones; undefined after a change. */
  #nearest: Slot[] | undefined

  constructor(private readonly random: () => number) {}

  get size(): number {
    return this.#replicas.size
  }

  [Symbol.iterator](): IterableIterator<Replica> {
    return this.#replicas.values()
  }

  add(replica: Replica): void {
    this.#replicas.add(replica)
    this.#nearest = undefined
  }

  remove(replica: Replica): boolean {
    this.#nearest = undefined
    return this.#replicas.delete(replica)
  }

  /** @returns the less busy of two ways picked at random, among those to replicas with the fewest relays between */
  pick(excluded?: ReadonlySet<ServiceWay>): ServiceWay | undefined {
    if (excluded === undefined || excluded.size === 0) {
      this.#nearest ??= this.#nearestOf(() => true)
      const way = this.#lessBusy(this.#nearest)
      if (way === undefined || way.isOpen) return way
    }
    return this.#lessBusy(this.#nearestOf(way => way.isOpen && excluded?.has(way) !== true))
  }

  #nearestOf(isWanted: (way: ServiceWay) => boolean): Slot[] {
    let levels = Number.POSITIVE_INFINITY
    let slots: Slot[] = []
    const byWay = new Map<ServiceWay, Slot>()
    for (const { way, path } of this.#replicas) {
      if (way === undefined || path.length > levels || !isWanted(way)) continue
      if (path.length < levels) {
        levels = path.length
        slots = []
        byWay.clear()
      }
      const slot = byWay.get(way) ?? { way, weight: 0 }
      slot.weight += 1
      byWay.set(way, slot)
      slots.push(slot)
    }
    return slots
  }

  #lessBusy(slots: readonly Slot[]): ServiceWay | undefined {
    const index = this.#below(slots.length)
    const first = slots[index]
    if (first === undefined || slots.length === 1) return first?.way
    const second = slots[(index + 1 + this.#below(slots.length - 1)) % slots.length] ?? first
    return busyness(second) < busyness(first) ? second.way : first.way
  }

  #below(bound: number): number {
    return Math.floor(this.random() * bound)
  }
}

function busyness({ way, weight }: Slot): number {
  return way.streams / weight
}
