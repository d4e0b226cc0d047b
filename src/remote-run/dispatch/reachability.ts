import { setTimeout as sleep } from 'node:timers/promises'
import type { Neighbours } from '../../hops/hop.js'

/** How often a relay that may be reached without a link, or that takes nothing now, is tried again, in ms. */
const RETRY_MS = 15_000

/** Tells runs that wait when the node or relay that they wait for is there. */
export class Reachability {
  readonly #waiting = new Map<string, Set<() => void>>()

  constructor(private readonly neighbours: Neighbours) {
    neighbours.onLinked?.(id => {
      for (const wake of this.#waiting.get(id) ?? []) wake()
    })
  }

  /** Whether a node holds a link when it can, so that it is worth waiting for. */
  shouldHoldLink(node: string): boolean {
    return this.neighbours.shouldHoldLink?.(node) === true
  }

  /** Resolves when `node` holds a link. @throws the signal's reason */
  linked(node: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    return this.neighbours.linked(node) !== undefined ? Promise.resolve() : this.#nextLink(node, signal)
  }

  #nextLink(node: string, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (end: () => void) => {
        signal.removeEventListener('abort', onAbort)
        this.#forget(node, onLinked)
        end()
      }
      const onLinked = () => settle(resolve)
      const onAbort = () => settle(() => reject(signal.reason))
      signal.addEventListener('abort', onAbort, { once: true })
      const others = this.#waiting.get(node) ?? new Set()
      this.#waiting.set(node, others.add(onLinked))
    })
  }

  /**
   * Resolves when it is time to try a neighbour again: its link opened, or a while has passed.
   * @param wasSent it was there and took nothing: the link that it has says nothing of when it will
   * @throws as {@link linked}
   */
  async untilWorthTrying(id: string, signal: AbortSignal, wasSent: boolean): Promise<void> {
    const over = new AbortController()
    const either = AbortSignal.any([signal, over.signal])
    const linked = wasSent ? this.#nextLink(id, either) : this.linked(id, either)
    try {
      await Promise.race([linked, sleep(RETRY_MS, undefined, { signal: either })])
    } finally {
      linked.catch(() => undefined) // ended with the race
      over.abort()
    }
  }

  #forget(node: string, wake: () => void): void {
    const others = this.#waiting.get(node)
    others?.delete(wake)
    if (others?.size === 0) this.#waiting.delete(node)
  }
}
