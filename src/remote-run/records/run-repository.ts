import type { RunningTimeReadings } from '../../process/running-time.js'
import type { NodeRecord, RunRecord, RunState } from './run-record.js'

/** A run that is about to start. */
export type NewRun = Omit<RunRecord, 'state' | 'endedAtMs' | 'counts'>

/** The bounds that decide which orders may be forgotten. */
export interface OrderRetention {
  /** Orders that were first seen before this, in ms of running time, are forgotten once the record of their run is gone. */
  readonly orderedBeforeMs: number
}

/** The end of a run. */
export interface RunEnd {
  readonly state: Exclude<RunState, 'running'>
  /** In ms since 1970. */
  readonly endedAtMs: number
  readonly counts: RunRecord['counts']
}

/** A node of an unfinished run for which work is left to do. */
export interface OpenNode {
  readonly node: string
  /** The sub-relay that it is below; undefined for a node of this relay. */
  readonly via: string | undefined
}

/** The bounds that decide which ended runs may be forgotten; in ms of running time (`noteAge`). */
export interface Retention {
  /** Runs that were seen to have ended before this are expired. */
  readonly endedBeforeMs: number
  /** Unless their id is not less than this one: a relay whose clock is ahead could order such a run again. */
  readonly idBefore: string
  /** Runs that were seen to have ended before this are expired, whatever their id. */
  readonly anywayBeforeMs: number
}

/**
 * The records of runs and of their nodes. Each method that changes something resolves once the change is durable, and
 * rejects when nothing, or only a part that says so, was changed.
 *
 * A run has one owner: the process that began or claimed it, for as long as its lease lasts. Only its owner changes it, so
 * a second process that shares the repository never carries an order out a second time. An owner that was late, and whose
 * run another process has claimed by then, changes nothing: it is told `lost`, and leaves the run alone. A lease that has
 * ended takes nothing away by itself. Each process has one repository, which stands for it.
 */
export interface RunRepository extends RunningTimeReadings {
  /**
   * Records a run and all its nodes, and makes the caller its owner.
   * @param nodes may be a hundred thousand; a crash in between leaves a run that {@link claimAbandoned} gives
   * @param orderKey recorded in the same step: {@link orderedRunId} then gives this run
   * @returns `known` when there is a run with this id, or one of this order, and nothing has changed; or when another
   * process has claimed the run before all nodes were recorded
   */
  begin(run: NewRun, nodes: Iterable<NodeRecord>, leaseMs: number, orderKey?: string): Promise<'begun' | 'known'>
  /** The id of the run that an order began, also when the run itself has been removed. */
  orderedRunId(orderKey: string): Promise<string | undefined>
  /**
   * Notes how long the machine has run, for runs that have ended and for orders of which that was not noted before: their age
   * counts from there.
   * @returns how many, no more than `limit` of each
   */
  noteAge(ranMs: number, limit: number): Promise<number>
  /** Forgets the oldest orders that may be forgotten. @returns how many, no more than `limit` */
  forgetOrders(retention: OrderRetention, limit: number): Promise<number>
  /** Records the state of nodes. A time of start or a way that is undefined leaves the recorded one as it is. */
  note(runId: string, nodes: Iterable<NodeRecord>): Promise<'done' | 'lost'>
  /** Records nodes as {@link note} does, and ends the run in the same step as the last of `nodes`. */
  end(runId: string, end: RunEnd, nodes: Iterable<NodeRecord>): Promise<'done' | 'lost'>
  /** Gives each node without an outcome the outcome `interrupted`, counts all outcomes, and ends the run: in one step. */
  interrupt(runId: string, end: Omit<RunEnd, 'counts'>, message: string): Promise<'done' | 'lost'>
  /**
   * Notes that a sub-relay which cannot recognise a run id gets these queued nodes. They are running from then on, with
   * no time of start, and not among {@link waitingNodes}, so that no process gives them away again.
   */
  markGiven(runId: string, nodes: Iterable<string>): Promise<'done' | 'lost'>
  /** Undoes {@link markGiven}: the nodes did not get there. */
  unmarkGiven(runId: string, nodes: Iterable<string>): Promise<'done' | 'lost'>

  find(runId: string): Promise<RunRecord | undefined>
  /** The newest first. @param beforeId only runs whose id is less */
  page(limit: number, beforeId?: string): Promise<RunRecord[]>
  /** Nodes of a run, in the order of their ids. @param afterNode only nodes whose id is greater */
  nodes(runId: string, limit: number, afterNode?: string): Promise<NodeRecord[]>
  /**
   * Nodes for which nothing was started, or which a sub-relay says that it has at hand. Nodes that are queued and
   * asked directly are among {@link openLinkedNodes} too: a relay takes a run id once, and can be asked again.
   */
  waitingNodes(runId: string): Promise<OpenNode[]>
  /** Nodes without an outcome that were to be reached over their own links, or directly. */
  openLinkedNodes(runId: string): Promise<string[]>

  /**
   * Makes the caller the owner of all unfinished runs whose owner is gone, or has not renewed its lease in time. The
   * caller's own runs are never among them.
   * @returns their ids, oldest first
   */
  claimAbandoned(leaseMs: number): Promise<string[]>
  /** Makes the leases of the caller's runs end so much later than now. @returns the ids of those that are not its own */
  renew(runIds: readonly string[], leaseMs: number): Promise<string[]>
  /** Ids of expired runs, the ones that ended first before the others. */
  expired(retention: Retention, limit: number): Promise<string[]>
  /** Removes a run with its nodes, a few at a time; the run last, so that a crash in between leaves an expired run. */
  remove(runId: string): Promise<void>
}
