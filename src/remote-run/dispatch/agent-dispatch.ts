import { TREELINE } from '../../hops/dialect.js'
import type { Hop, HopOutcome, HopRequest, Neighbours } from '../../hops/hop.js'
import type { CommandSource } from '../commands/concurrency-limiter.js'
import type { PlannedNode } from '../progress/plan.js'
import type { RunProgress } from '../progress/run-progress.js'
import type { RunTiming } from '../progress/timing.js'
import type { NotTaken } from './not-taken.js'
import type { ForwardOrder } from './order.js'
import { makeNodeOrders } from './order.js'
import { ForwardedPart } from './remote-execution.js'

export interface LinkedPartOptions {
  readonly nodes: readonly PlannedNode[]
  readonly order: ForwardOrder
  readonly neighbours: Neighbours
  readonly isRelay: (node: string) => boolean
  readonly selfId: string
  readonly maxOutputBytes: number
  readonly progress: RunProgress
  readonly timing: RunTiming
  readonly signal: AbortSignal
  readonly onStarted: () => void
  /** A node whose link has gone, that takes no runs now, or that does not run itself: nothing was started there. */
  readonly onNotLinked: (node: PlannedNode, why: NotTaken) => void
}

/**
 * The part of a run that the nodes of this relay do themselves, each asked over the link that its agent holds. An order
 * for one node is a small thing: its headers are shared, it has no timer but that of its answer.
 */
export class LinkedPart implements CommandSource {
  /** Resolves when each node has its outcome, or was given back by `onNotLinked`; rejects for a fault alone. */
  readonly ended: Promise<void>
  readonly #orderFor: ReturnType<typeof makeNodeOrders>
  #next = 0
  #asking = 0
  /** One each: a signal that thousands listen to takes longer for every further listener. */
  readonly #cancels = new Set<AbortController>()
  #resolveEnded: () => void = () => undefined
  #rejectEnded: (fault: unknown) => void = () => undefined

  constructor(private readonly options: LinkedPartOptions) {
    const { signal } = options
    const cancelAll = () => {
      for (const cancel of this.#cancels) cancel.abort(signal.reason)
    }
    signal.addEventListener('abort', cancelAll, { once: true })
    this.#orderFor = makeNodeOrders(options.order, options.isRelay)
    this.ended = new Promise((resolve, reject) => {
      this.#resolveEnded = resolve
      this.#rejectEnded = reject
    })
  }

  startNext(): Promise<void> | undefined {
    const { nodes, signal } = this.options
    const node = signal.aborted ? undefined : nodes[this.#next]
    if (node === undefined) {
      this.#settleRest().catch(this.#rejectEnded)
      return undefined
    }
    this.#next += 1
    this.#asking += 1
    return this.#ask(node).finally(() => {
      this.#asking -= 1
      this.#endWhenDone()
    })
  }

  /** What a former process of this relay asked for: how it goes on, or ended. */
  resume(node: PlannedNode, lostMessage: string): Promise<void> {
    return this.#cancellably(signal => this.#partFor(node, signal).resume(lostMessage))
  }

  async #ask(node: PlannedNode): Promise<void> {
    const { neighbours, onNotLinked, progress } = this.options
    if (neighbours.linked(node.id) === undefined) return onNotLinked(node, 'away')
    progress.reachedBy(node.id, 'link')
    return this.#cancellably(signal => this.#partFor(node, signal, why => onNotLinked(node, why)).run())
  }

  async #cancellably(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const cancel = new AbortController()
    this.#cancels.add(cancel)
    const { signal } = this.options
    if (signal.aborted) cancel.abort(signal.reason)
    try {
      await work(cancel.signal)
    } finally {
      this.#cancels.delete(cancel)
    }
  }

  #partFor({ id }: PlannedNode, signal: AbortSignal, onNotTaken?: (why: NotTaken) => void): ForwardedPart {
    const { order, neighbours, selfId, maxOutputBytes, progress, timing, onStarted } = this.options
    return new ForwardedPart({
      hop: new NodeLink(id, neighbours),
      part: this.#orderFor(id),
      selfId,
      node: id,
      keepOutput: order.keepOutput,
      asynchronous: order.asynchronous,
      maxOutputBytes,
      progress,
      timing,
      signal,
      onStarted,
      ...(onNotTaken === undefined ? {} : { onNotTaken })
    })
  }

  /** After a cancellation: those that were never asked. */
  async #settleRest(): Promise<void> {
    const { nodes, signal, progress, selfId } = this.options
    const rest = nodes.slice(this.#next)
    this.#next = nodes.length
    this.#asking += 1
    const ids = rest.map(({ id }) => id)
    await progress.settle(ids, selfId, { outcome: 'cancelled', message: String(signal.reason) })
    this.#asking -= 1
    this.#endWhenDone()
  }

  #endWhenDone(): void {
    if (this.#next === this.options.nodes.length && this.#asking === 0) this.#resolveEnded()
  }
}

/** A node as a hop: each request goes over the link that it has at that moment. */
class NodeLink implements Hop {
  readonly dialect = TREELINE

  constructor(
    readonly id: string,
    private readonly neighbours: Neighbours
  ) {}

  async request(request: HopRequest): Promise<HopOutcome> {
    const hop = this.neighbours.linked(this.id)
    return hop === undefined
      ? { kind: 'unreachable', reason: `${this.id} holds no link now`, sent: false }
      : hop.request(request)
  }
}
