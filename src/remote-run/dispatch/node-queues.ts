/** The runs that a node has from this relay, as one of them sees the others. */
export interface NodeQueue {
  /** When one of them last started or ended, by `performance.now()`. */
  readonly movedAtMs: number
  /** Called when this run has started or ended at the node. */
  moved(): void
  /** Takes this run out. */
  leave(): void
}

interface Known {
  movedAtMs: number
  runs: number
}

/**
 * Knows when nodes that run themselves last went on, with whichever run: a run that waits behind others in the node's own
 * queue has nothing to tell, and the others show that the queue moves.
 */
export class NodeQueues {
  readonly #nodes = new Map<string, Known>()

  join(node: string): NodeQueue {
    const known = this.#nodes.get(node) ?? { movedAtMs: performance.now(), runs: 0 }
    known.runs += 1
    this.#nodes.set(node, known)
    return {
      get movedAtMs() {
        return known.movedAtMs
      },
      moved: () => {
        known.movedAtMs = performance.now()
      },
      leave: () => {
        known.runs -= 1
        if (known.runs === 0 && this.#nodes.get(node) === known) this.#nodes.delete(node)
      }
    }
  }
}
