import { MAX_PASSED_RELAYS } from '../../values/passed-relays.js'
import type { NodeRecord } from '../records/run-record.js'
import type { RunContext } from '../run-context.js'
import type { RunScope } from '../run-scope.js'
import type { NodeQueue } from './node-queues.js'
import type { RemotePart } from './remote-part.js'

const DAY_MS = 24 * 60 * 60_000

/** A timer counts from the begin of its turn, and so ends a little early by the clock. */
const EARLY_TIMER_MS = 100

/** The members of the context, the scope and the part that the watch looks at. */
export interface WatchedContext extends Pick<RunContext, 'isCrowded' | 'nodeQueues'> {
  readonly config: Pick<RunContext['config'], 'timeoutMs'>
  readonly timing: Pick<RunContext['timing'], 'stallMs' | 'stallSlackMs' | 'partMs'>
}
export interface WatchedScope extends Pick<RunScope, 'wait'> {
  readonly order: Pick<RunScope['order'], 'passed'>
  readonly progress: { readonly table: { get(node: string): Pick<NodeRecord, 'outcome'> | undefined } }
}
export interface WatchedPart extends Pick<RemotePart, 'node'> {
  readonly hop: Pick<RemotePart['hop'], 'id'>
}

/**
 * Watches whether the part of a run at a neighbour goes on. A neighbour that says `alive` for ever would keep the run
 * under way, and its slot, for good; so would one whose output never ends, or which ends one node a day. Only nodes that
 * start and end count, and not for longer than {@link RunTiming.partMs} in all.
 */
export class StallWatch {
  readonly #begunMs = performance.now()
  #sinceMs = this.#begunMs
  readonly #queue: NodeQueue | undefined
  #isTextOnly = false

  constructor(
    private readonly context: WatchedContext,
    private readonly scope: WatchedScope,
    private readonly part: WatchedPart
  ) {
    this.#queue = part.node === undefined ? undefined : context.nodeQueues.join(part.node)
  }

  /** Called when a node of the part has started or ended. */
  goesOn(): void {
    this.#sinceMs = performance.now()
    this.#queue?.moved()
  }

  /** Called when the neighbour tells output alone, and of no nodes: the whole part has the time of one step. */
  tellsTextOnly(): void {
    this.#isTextOnly = true
  }

  /** Called when the answer of the neighbour has events: it was taken for one that tells output alone. */
  tellsEvents(): void {
    this.#isTextOnly = false
  }

  /** Called once, when the part is watched no longer. */
  end(): void {
    this.#queue?.leave()
  }

  /** The longest time without a node that starts or ends, while there are slots for runs. */
  get limitMs(): number {
    const { config, timing } = this.context
    return Math.max(timing.stallMs, config.timeoutMs) + this.#slackMs
  }

  /** The longest silence of a neighbour that tells output alone: {@link whyOver} has its reason by then. */
  get silenceLimitMs(): number {
    return this.limitMs + EARLY_TIMER_MS
  }

  /** The reason to wait no longer, for a message; undefined: the part is waited on. */
  get whyOver(): string | undefined {
    const { config, isCrowded, timing } = this.context
    const { hop } = this.part
    const nowMs = performance.now()
    const stalledMs = nowMs - Math.max(this.#sinceMs, this.#waitEndMs, this.#queueMovedMs)
    const isStalled = stalledMs >= this.limitMs || (isCrowded() && stalledMs >= config.timeoutMs + this.#slackMs)
    if (isStalled) {
      const seconds = Math.round(stalledMs / 1_000)
      if (this.#isTextOnly)
        return `${hop.id} only tells output, and has not ended its part of the run for ${seconds} s; see remote_run.timeout`
      return `nothing started or ended at ${hop.id} for ${seconds} s; see remote_run.timeout`
    }
    const takenMs = nowMs - Math.max(this.#begunMs, this.#waitEndMs)
    if (takenMs < Math.max(timing.partMs, config.timeoutMs) + this.#slackMs) return undefined
    return `the part of the run at ${hop.id} has been under way for ${(takenMs / DAY_MS).toFixed(1)} days; order its open nodes again`
  }

  /** When the queue of a node moved in which this run waits; a run that has begun is for itself. */
  get #queueMovedMs(): number {
    const { node } = this.part
    const isQueued = node !== undefined && this.scope.progress.table.get(node)?.outcome === 'queued'
    return isQueued ? (this.#queue?.movedAtMs ?? 0) : 0
  }

  /** The end of the wait for nodes that are not connected, which a relay below does in silence; a node waits for none. */
  get #waitEndMs(): number {
    return this.part.node === undefined ? (this.scope.wait?.endsAtMs ?? 0) : 0
  }

  /** The time for what is below to give up first, and to tell of it: the more levels there may be, the longer. */
  get #slackMs(): number {
    const levels = this.part.node === undefined ? MAX_PASSED_RELAYS + 1 - this.scope.order.passed.length : 1
    return Math.max(1, levels) * this.context.timing.stallSlackMs
  }
}
