import type { OrderedTopology } from '../tree/topology.js'

/** Nodes remembered in all; beyond, the oldest changes are forgotten, and who asks for them gets the whole tree. */
export const MAX_LOGGED_NODES = 50_000

/**
 * The nodes that one change of the tree touched: id → the policy servers that were above it before; none for a new
 * node.
 */
export type Touched = ReadonlyMap<string, readonly string[]>

/** The changes for one relay. */
export interface Difference {
  /** Ids of nodes that are new or different, all of them there now. */
  readonly put: readonly string[]
  /** Ids of nodes that were in its part and are not any more. */
  readonly removed: readonly string[]
}

/** The nodes that the last changes of the tree touched. */
export class ChangeLog {
  readonly #changes: { readonly sequence: number; readonly touched: Touched }[] = []
  #size = 0
  /** Changes after this one are known. */
  #knownSince = 0

  /** @param sequence greater than all before. @param touched undefined: too much to be remembered */
  add(sequence: number, touched: Touched | undefined): void {
    if (touched === undefined) {
      this.#changes.length = 0
      this.#size = 0
      this.#knownSince = sequence
      return
    }
    this.#changes.push({ sequence, touched })
    this.#size += touched.size + 1
    while (this.#size > MAX_LOGGED_NODES) {
      const oldest = this.#changes.shift()
      if (oldest === undefined) break
      this.#size -= oldest.touched.size + 1
      this.#knownSince = oldest.sequence
    }
  }

  /** @returns undefined when it is not known any more. Nodes that never were in the relay's part are not named */
  since(sequence: number, relay: string, topology: OrderedTopology): Difference | undefined {
    if (sequence < this.#knownSince) return undefined
    const put = new Set<string>()
    const removed = new Set<string>()
    for (const change of this.#changes) {
      if (change.sequence <= sequence) continue
      for (const [id, above] of change.touched) {
        if (isInPart(topology, relay, id)) put.add(id)
        else if (above.includes(relay)) removed.add(id)
      }
    }
    return { put: [...put], removed: [...removed] }
  }
}

/** Whether a node is the relay itself, or below it. */
export function isInPart(topology: OrderedTopology, relay: string, id: string): boolean {
  return id === relay ? topology.positionOf(id) !== undefined : topology.isUnder(id, relay)
}
