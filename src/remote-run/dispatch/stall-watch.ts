import { MAX_PASSED_RELAYS } from '../../values/passed-relays.js'
import type { RunScope } from '../run-scope.js'
import type { ExecutionContext, RemotePart } from './remote-part.js'

/**
 * Watches whether the part of a run at a neighbour goes on. A neighbour that says `alive` for ever would keep the run
 * under way, and its place, for good; so would one whose output never ends. Only nodes that start and end count.
 */
export class StallWatch {
  #sinceMs = performance.now()

  constructor(
    private readonly context: ExecutionContext,
    private readonly scope: RunScope,
    private readonly part: RemotePart
  ) {}

  /** Called when a node of the part has started or ended. */
  goesOn(): void {
    this.#sinceMs = performance.now()
  }

  /** The longest time without a node that starts or ends, while there are places for runs. */
  get limitMs(): number {
    const { config, timing } = this.context
    return Math.max(timing.stallMs, config.timeoutMs) + this.#slackMs
  }

  /** The seconds that nothing went on, where they are too many; undefined: it is waited on. */
  get stalledSeconds(): number | undefined {
    const { config, isCrowded } = this.context
    const stalledMs = performance.now() - Math.max(this.#sinceMs, this.#waitEndMs)
    if (stalledMs < config.timeoutMs + this.#slackMs) return undefined
    return stalledMs >= this.limitMs || (isCrowded() && !this.#isQueuedAtNode)
      ? Math.round(stalledMs / 1_000)
      : undefined
  }

  /** Whether its node has yet to say that it runs: it may have others in its own queue, each for as long as it likes. */
  get #isQueuedAtNode(): boolean {
    const { node } = this.part
    return node !== undefined && this.scope.progress.table.get(node)?.outcome === 'queued'
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
