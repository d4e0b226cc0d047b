import { runTurns } from '../../process/pacing/turn-limit.js'
import { type CountedOutcome, countedOutcome } from '../../values/runs/run-event.js'
import type { EventLog, NewEvent } from '../event-log/event-log.js'
import type { LoggedEvents } from '../event-log/logged-events.js'
import { endOf } from '../event-log/node-end.js'
import type { Reached } from '../records/run-record.js'
import type { BrokenHop, NodeOutcome, RunEvent } from '../run-types.js'
import type { NodeTable } from './node-table.js'

/** The observer of ended nodes, for metrics. */
export interface RunObserver {
  /** Called when one more node has its final outcome. */
  nodeRan(outcome: CountedOutcome): void
}

export interface NodeEnd {
  readonly outcome: NodeOutcome
  readonly exitCode?: number | undefined
  readonly durationMs?: number | undefined
  readonly message?: string | undefined
  /** The hop at which the way to it ended. */
  readonly unreached?: BrokenHop | undefined
}

export type Output = Pick<RunEvent, 'node' | 'relay' | 'stream' | 'message'> & { readonly data: string }

/** Longest message taken into an event or a record, in characters. */
const MAX_MESSAGE_LENGTH = 1_024

/** Takes everything that happens in a run, for the log and for the table of nodes. */
export class RunProgress {
  constructor(
    private readonly log: EventLog,
    readonly table: NodeTable,
    private readonly observer: RunObserver | undefined,
    /** The events that are logged already, for a run that is taken up again. */
    private readonly logged?: LoggedEvents
  ) {}

  nodeRunning(node: string, relay: string, startedAtMs: number): void {
    if (this.table.get(node)?.outcome !== 'queued') return
    this.table.set(node, { outcome: 'running', startedAtMs })
    this.#append({ event: 'node', node, relay, outcome: 'running' })
  }

  /** Says which way is tried. Shown in the record alone. */
  reachedBy(node: string, reached: Reached): void {
    const record = this.table.get(node)
    if (record !== undefined && record.reached !== reached) this.table.set(node, { outcome: record.outcome, reached })
  }

  /** Records the end of a node; only the first end counts. */
  nodeEnded(node: string, relay: string, end: NodeEnd): void {
    if (!this.table.isOpen(node)) return
    const { outcome, exitCode, durationMs } = end
    const message = end.message?.slice(0, MAX_MESSAGE_LENGTH)
    const unreached = shortened(end.unreached)
    this.table.set(node, { outcome, exitCode, durationMs, message, unreached })
    this.observer?.nodeRan(countedOutcome(outcome, exitCode))
    this.log.append({
      event: 'node',
      node,
      relay,
      ...endOf({ node, outcome, exitCode, durationMs, message, unreached })
    })
  }

  output(output: Output): void {
    this.#append({ event: 'output', ...output })
  }

  /** @param node undefined when it is about a relay */
  error(relay: string, message: string, node?: string): void {
    const about = node === undefined ? {} : { node }
    this.#append({ event: 'error', ...about, relay, message: message.slice(0, MAX_MESSAGE_LENGTH) })
  }

  #append(event: NewEvent): void {
    if (this.logged?.take(event) !== true) this.log.append(event)
  }

  /** Ends those of `nodes` that are open still, a few at a time. */
  async endOpen(
    nodes: Iterable<string>,
    relay: string,
    end: NodeEnd | ((wasRunning: boolean) => NodeEnd)
  ): Promise<void> {
    for (const node of nodes) {
      if (!this.table.isOpen(node)) continue
      const wasRunning = this.table.get(node)?.outcome === 'running'
      this.nodeEnded(node, relay, typeof end === 'function' ? end(wasRunning) : end)
      if (runTurns.isOver) await runTurns.next()
    }
  }

  /** Whether whoever gives output should wait for {@link ready}, because the disk is slower. */
  get isBehind(): boolean {
    return this.log.isFull
  }

  async ready(): Promise<void> {
    if (this.log.isFull) await this.log.drained()
  }
}

function shortened(hop: BrokenHop | undefined): BrokenHop | undefined {
  return hop && { ...hop, reason: hop.reason.slice(0, MAX_MESSAGE_LENGTH) }
}
