import type { Origin } from '../network/caller.js'
import type { BrokenHop, NodeOutcome, RunEvent } from '../values/runs/run-event.js'
import type { NodeRecord, RunRecord } from './records/run-record.js'

export type { BrokenHop, NodeOutcome, RunEvent }

export interface RunOrder {
  readonly nodes: 'all' | readonly string[]
  /**
   * Whether one node was asked for by itself: then it is an error if it is not below. In a list it is only an
   * outcome.
   */
  readonly isSingle?: boolean
  readonly keepOutput: boolean
  readonly asynchronous: boolean
  readonly conditions: readonly string[]
  /** The time until which the run waits for nodes that are not connected; undefined: it does not wait. */
  readonly waitUntilMs?: number | undefined
  /** Given by a known relay or policy server; made here otherwise. */
  readonly runId: string | undefined
  /** The key that tells the order from all others, where the caller may give it again; undefined: it is given once. */
  readonly orderKey?: string | undefined
  readonly origin: Origin
}

/** The position of an event in the log of its run. Only the log knows how to read it. */
export interface EventCursor {
  readonly kind: 'event cursor'
}

/** A run that exists, under way or ended. */
export interface Run {
  readonly id: string
  readonly order: Pick<RunOrder, 'keepOutput' | 'asynchronous'>
  /**
   * Resolves when it is known whether anything could be started: true as soon as one command runs or one sub-relay
   * has taken the order.
   */
  readonly anyStarted: Promise<boolean>
  /**
   * Events after `seq` (0: all), from disk and then as they come, to the end of the run. Slow readers are fed from
   * disk; memory does not grow.
   */
  events(after: number, signal: AbortSignal): AsyncIterable<RunEvent>
  /**
   * The events as {@link events} gives them, each with its cursor, so that a reader that has to wait can wait on
   * disk.
   */
  located(after: number, signal: AbortSignal): AsyncIterable<{ readonly event: RunEvent; readonly cursor: EventCursor }>
  /** Reads again what {@link located} gave, in the order of `cursors`. Ends early when the log was purged. */
  reread(cursors: Iterable<EventCursor>): AsyncIterable<RunEvent>
  /** Cancels the rest of the run, down to the processes; resolves when none runs. Does nothing to an ended run. */
  cancel(reason: string): Promise<void>
  readonly ended: Promise<void>
}

/** How often old records are looked for: often, as a machine may never run for an hour. A look costs next to nothing. */
export const PURGE_EVERY_MS = 60_000

/** Makes the agents of nodes below this relay run. */
export interface RemoteRuns {
  /**
   * Records the order, fsynced, and starts it. An order whose run id or order key is known already gives that run as it stands.
   * @throws {RelayError} UNKNOWN_NODE (a single node asked for, and not below), DISABLED, BUSY, LOOP_DETECTED, STOPPING,
   * CONFLICT (an order whose run has been removed since)
   */
  start(order: RunOrder): Promise<Run>
  /** @throws {RelayError} STOPPING for a run that goes on in the next process */
  find(id: string): Promise<Run | undefined>
  record(id: string): Promise<RunRecord | undefined>
  /** @param limit 1 to 1,000 */
  list(limit: number, beforeId?: string): Promise<RunRecord[]>
  nodeRecords(id: string, limit: number, afterNode?: string): Promise<NodeRecord[]>
  status(): { readonly running: number; readonly commandsRunning: number }
  /**
   * Marks what a former process left running as interrupted, and takes up what can be. To be awaited before the first
   * request is taken.
   * @param treeLoaded what is taken up waits for it
   */
  recover(treeLoaded?: Promise<unknown>): Promise<void>
  /** Removes records and outputs past the retention; to be called every {@link PURGE_EVERY_MS}. @returns how many runs went */
  purgeExpired(signal: AbortSignal): Promise<number>
  /**
   * Drains before a stop: resolves once no run is under way. Runs that wait for nodes are left to the next process as
   * soon as their commands here have ended; a caller that follows one sees its answer break off.
   */
  drain(): Promise<void>
  /** Takes no new orders, cancels what runs, waits until no process is left. */
  stop(): Promise<void>
}
