import { TREELINE } from '../../hops/dialect.js'
import type { Hop, HopOutcome, HopRequest, Neighbours } from '../../hops/hop.js'
import type { CommandSource } from '../execution/concurrency-limiter.js'
import type { PlannedNode } from '../progress/plan.js'
import type { RunContext } from '../run-context.js'
import type { RunScope } from '../run-scope.js'
import { findHop } from './find-hop.js'
import type { NotTaken } from './not-taken.js'
import { makeNodeOrders } from './order.js'
import { RemoteExecution } from './remote-execution.js'
import type { ExecutionContext, RemotePart } from './remote-part.js'

/** Nodes that run themselves. */
export interface NodesByLink {
  readonly nodes: readonly PlannedNode[]
  /** A node whose link has gone, that takes no runs now, or that does not run itself: nothing was started there. */
  readonly onNotLinked: (node: PlannedNode, why: NotTaken, reason?: string) => void
}

type Context = ExecutionContext & Pick<RunContext, 'neighbours' | 'isRelay' | 'wayTo'>

/**
 * The part of a run that the nodes of this relay do themselves, each asked over the link that its agent holds; a
 * sub-relay without one is asked directly. An order for one node is a small thing: its headers are shared, it has no timer but that of its answer.
 */
export class AgentDispatch implements CommandSource {
  /** Resolves when each node has its outcome, or was given back by `onNotLinked`; rejects for a fault alone. */
  readonly ended: Promise<void>
  readonly #orderFor: ReturnType<typeof makeNodeOrders>
  #next = 0
  #asking = 0
  /**
   * The signals of cancellation, one for each node: a signal that thousands listen to takes longer for every further
   * listener.
   */
  readonly #cancels = new Set<AbortController>()
  #resolveEnded: () => void = () => undefined
  #rejectEnded: (fault: unknown) => void = () => undefined

  constructor(
    private readonly context: Context,
    private readonly scope: RunScope,
    private readonly part: NodesByLink
  ) {
    const { signal } = scope
    const cancelAll = () => {
      for (const cancel of this.#cancels) cancel.abort(signal.reason)
    }
    signal.addEventListener('abort', cancelAll, { once: true })
    this.#orderFor = makeNodeOrders(scope.order, context.isRelay)
    this.ended = new Promise((resolve, reject) => {
      this.#resolveEnded = resolve
      this.#rejectEnded = reject
    })
  }

  startNext(): Promise<void> | undefined {
    const node = this.scope.signal.aborted ? undefined : this.part.nodes[this.#next]
    if (node === undefined) {
      this.#cancelRest().catch(this.#rejectEnded)
      return undefined
    }
    this.#next += 1
    this.#asking += 1
    return this.#ask(node).finally(() => {
      this.#asking -= 1
      this.#endWhenDone()
    })
  }

  /** Asks a node for the run that a former process of this relay ordered: how it goes on, or ended. */
  resume(node: PlannedNode, lostMessage: string): Promise<void> {
    return this.#cancellably(signal => this.#partFor(node, signal).resume(lostMessage))
  }

  async #ask(node: PlannedNode): Promise<void> {
    const { onNotLinked } = this.part
    const way = this.context.wayTo(node.id)
    if (way === undefined) return onNotLinked(node, 'away')
    this.scope.progress.reachedBy(node.id, way)
    return this.#cancellably(signal =>
      this.#partFor(node, signal, (why, reason) => onNotLinked(node, why, reason)).run()
    )
  }

  async #cancellably(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const cancel = new AbortController()
    this.#cancels.add(cancel)
    const { signal } = this.scope
    if (signal.aborted) cancel.abort(signal.reason)
    try {
      await work(cancel.signal)
    } finally {
      this.#cancels.delete(cancel)
    }
  }

  #partFor({ id }: PlannedNode, signal: AbortSignal, onNotTaken?: RemotePart['onNotTaken']): RemoteExecution {
    const { neighbours, wayTo } = this.context
    return new RemoteExecution(
      this.context,
      { ...this.scope, signal },
      {
        hop: new NodeHop(id, neighbours, wayTo),
        part: this.#orderFor(id),
        node: id,
        ...(onNotTaken === undefined ? {} : { onNotTaken })
      }
    )
  }

  /** Settles the nodes that were never asked, after a cancellation. */
  async #cancelRest(): Promise<void> {
    const { signal, progress } = this.scope
    const { nodes } = this.part
    const rest = nodes.slice(this.#next)
    this.#next = nodes.length
    this.#asking += 1
    const ids = rest.map(({ id }) => id)
    await progress.endOpen(ids, this.context.selfId, { outcome: 'cancelled', message: String(signal.reason) })
    this.#asking -= 1
    this.#endWhenDone()
  }

  #endWhenDone(): void {
    if (this.#next === this.part.nodes.length && this.#asking === 0) this.#resolveEnded()
  }
}

/** A node as a hop: each request goes over the link that it has at that moment, or directly where it needs none. */
class NodeHop implements Hop {
  readonly dialect = TREELINE

  constructor(
    readonly id: string,
    private readonly neighbours: Neighbours,
    private readonly wayTo: RunContext['wayTo']
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
