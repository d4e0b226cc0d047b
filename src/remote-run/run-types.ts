import type { Origin } from '../values/caller.js'
import type { BrokenHop, CountedOutcome, NodeOutcome, RunEvent } from '../values/runs/run-event.js'

export type { BrokenHop, NodeOutcome, RunEvent }

export type RunState = 'running' | 'done' | 'cancelled' | 'interrupted'

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

/**
 * The way on which this relay reached a node that it runs itself: over the link that its agent or, for a sub-relay,
 * its process holds, by a connection of ours to a sub-relay that holds none, or by a command.
 */
export type Reached = 'link' | 'direct' | 'command'

export interface NodeRecord {
  readonly node: string
  /** The sub-relay that it is below, or undefined where it is run by this relay. */
  readonly via?: string | undefined
  /** Undefined below a sub-relay, and while nothing was tried. */
  readonly reached?: Reached | undefined
  readonly outcome: NodeOutcome
  readonly exitCode?: number | undefined
  readonly startedAtMs?: number | undefined
  readonly durationMs?: number | undefined
  readonly message?: string | undefined
  /** The hop at which the way ended, for a node that was not reached. */
  readonly unreached?: BrokenHop | undefined
}

export interface RunRecord {
  readonly id: string
  readonly state: RunState
  readonly askedBy: string
  readonly nodes: 'all' | 'list'
  readonly conditions: readonly string[]
  readonly keepOutput: boolean
  readonly asynchronous: boolean
  readonly startedAtMs: number
  readonly endedAtMs: number | undefined
  readonly waitUntilMs: number | undefined
  /** How many nodes have each outcome; those that are done are told apart by exit code. */
  readonly counts: Readonly<Partial<Record<CountedOutcome, number>>>
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
  /** Removes records and outputs past the retention. @returns how many runs went */
  purgeExpired(signal: AbortSignal): Promise<number>
  /**
   * Drains before a stop: resolves once no run is under way. Runs that wait for nodes are left to the next process as
   * soon as their commands here have ended; a caller that follows one sees its answer break off.
   */
  drain(): Promise<void>
  /** Takes no new orders, cancels what runs, waits until no process is left. */
  stop(): Promise<void>
}
