import type { Replica, ServiceWay } from './replica.js'
import { ReplicaChoice } from './replica-choice.js'

/** Keys that a relay can reach. */
export const MAX_KEYS = 10_000
/** Replicas whose link is away: they are listed alone. */
export const MAX_STALE_REPLICAS = 10_000

export type ReplicaEvent = 'added' | 'removed'

export interface ServiceKeysOptions {
  readonly maxKeys?: number
  readonly maxStale?: number
  readonly random?: () => number
}

/** The services that this relay reaches: the replicas under each key, and the way to each. */
export class ServiceKeys {
  readonly #choices = new Map<string, ReplicaChoice>()
  readonly #stale = new Set<Replica>()
  readonly #listeners = new Set<(event: ReplicaEvent, replica: Replica) => void>()
  readonly #max: number
  readonly #maxStale: number
  readonly #random: () => number

  constructor({ maxKeys = MAX_KEYS, maxStale = MAX_STALE_REPLICAS, random = Math.random }: ServiceKeysOptions = {}) {
    this.#max = maxKeys
    this.#maxStale = maxStale
    this.#random = random
  }

  /** Keys that can be reached. */
  get size(): number {
    return this.#choices.size
  }

  /** Whether a replica can be reached under `key`. */
  has(key: string): boolean {
    return this.#choices.has(key)
  }

  /** Whether a replica under `key` would be taken. */
  hasRoomFor(key: string): boolean {
    return this.#choices.size < this.#max || this.#choices.has(key)
  }

  /** @returns false when there are as many keys as there may be, or as many replicas that are away */
  add(replica: Replica): boolean {
    if (replica.way === undefined) {
      if (this.#stale.size >= this.#maxStale) return false
      this.#stale.add(replica)
    } else {
      if (!this.hasRoomFor(replica.key)) return false
      this.#choiceOf(replica.key).add(replica)
    }
    this.#tell('added', replica)
    return true
  }

  /** Does nothing for a replica that is not there. */
  remove(replica: Replica): void {
    if (!this.#stale.delete(replica)) {
      const choice = this.#choices.get(replica.key)
      if (choice?.remove(replica) !== true) return
      if (choice.size === 0) this.#choices.delete(replica.key)
    }
    this.#tell('removed', replica)
  }

  /**
   * Picks a way to a service: the less busy of two picked at random, among the replicas with the fewest relays between.
   * @param excluded ways that were tried
   * @returns undefined when nobody else serves the key
   */
  pick(key: string, excluded?: ReadonlySet<ServiceWay>): ServiceWay | undefined {
    return this.#choices.get(key)?.pick(excluded)
  }

  /** The replicas under a key that can be reached. */
  under(key: string): Replica[] {
    return [...(this.#choices.get(key) ?? [])]
  }

  /** All replicas, those that are away too. */
  *all(): Generator<Replica> {
    for (const choice of this.#choices.values()) yield* choice
    yield* this.#stale
  }

  /** @param listener told of each replica that comes or goes. @returns a function that ends this */
  onChange(listener: (event: ReplicaEvent, replica: Replica) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #choiceOf(key: string): ReplicaChoice {
    let choice = this.#choices.get(key)
    if (choice === undefined) {
      choice = new ReplicaChoice(this.#random)
      this.#choices.set(key, choice)
    }
    return choice
  }

  #tell(event: ReplicaEvent, replica: Replica): void {
    for (const listener of this.#listeners) listener(event, replica)
  }
}
