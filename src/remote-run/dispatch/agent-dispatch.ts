import { TREELINE } from '../../hops/dialect.js'
import type { Hop, HopOutcome, HopRequest, Neighbours } from '../../hops/hop.js'
import type { CommandSource } from '../commands/concurrency-limiter.js'
import type { PlannedNode } from '../progress/plan.js'
import type { RunProgress } from '../progress/run-progress.js'
import type { RunTiming } from '../progress/timing.js'
import { findHop } from './find-hop.js'
import type { NotTaken } from './not-taken.js'
import type { ForwardOrder } from './order.js'
import { makeNodeOrders } from './order.js'
import { ForwardedPart, type ForwardedPartOptions } from './remote-execution.js'

export interface LinkedPartOptions {
  readonly nodes: readonly PlannedNode[]
  readonly order: ForwardOrder
  readonly neighbours: Neighbours
  readonly isRelay: (node: string) => boolean
  readonly wayTo: (node: string) => 'link' | 'direct' | undefined
  readonly selfId: string
  readonly maxOutputBytes: number
  readonly progress: RunProgress
  readonly timing: RunTiming
  readonly signal: AbortSignal
  readonly onStarted: () => void
  /** A node whose link has gone, that takes no runs now, or that does not run itself: nothing was started there. */
  readonly onNotLinked: (node: PlannedNode, why: NotTaken, reason?: string) => void
}

/**
 * The part of a run that the nodes of this relay do themselves, each asked over the link that its agent holds; a
 * sub-relay without one is asked directly. An order for one node is a small thing: its headers are shared, it has no timer but that of its answer.
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
    const { wayTo, onNotLinked, progress } = this.options
    const way = wayTo(node.id)
    if (way === undefined) return onNotLinked(node, 'away')
    progress.reachedBy(node.id, way)
    return this.#cancellably(signal =>
      this.#partFor(node, signal, (why, reason) => onNotLinked(node, why, reason)).run()
    )
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

  #partFor({ id }: PlannedNode, signal: AbortSignal, onNotTaken?: ForwardedPartOptions['onNotTaken']): ForwardedPart {
    const { order, neighbours, wayTo, selfId, maxOutputBytes, progress, timing, onStarted } = this.options
    return new ForwardedPart({
      hop: new NodeHop(id, neighbours, wayTo),
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

/** A node as a hop: each request goes over the link that it has at that moment, or directly where it needs none. */
class NodeHop implements Hop {
  readonly dialect = TREELINE

  constructor(
    readonly id: string,
    private readonly neighbours: Neighbours,
    private readonly wayTo: LinkedPartOptions['wayTo']
  ) {}

  async request(request: HopRequest): Promise<HopOutcome> {
    const hop = this.neighbours.linked(this.id) ?? this.#direct()
    return hop instanceof Error ? { kind: 'unreachable', reason: hop.message, sent: false } : hop.request(request)
  }

  #direct(): Hop | Error {
    if (this.wayTo(this.id) !== 'direct') return new Error(`${this.id} holds no link now`)
    return findHop(this.neighbours, this.id)
  }
}
