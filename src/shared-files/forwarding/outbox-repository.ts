import type { FileKey } from '../../values/ids.js'
import type { ListedFile, QueuedFile } from '../keeping/file-record.js'
import type { SourceLimit, Totals } from '../keeping/file-repository.js'

/** The result of one attempt to pass an entry on. */
export type OutboxAttempt = Pick<QueuedFile, 'state' | 'nextAttemptAtMs' | 'lastStatus' | 'lastError'>

/** The bounds that decide which entries are due; times in ms since 1970. */
export interface DueEntries {
  /** Entries are due whose next attempt is not later than this. */
  readonly nowMs: number
  /**
   * The latest time of a next attempt: an entry that is put off to after it is due as well, since the clock was set
   * back.
   */
  readonly latestMs: number
  /** Whether entries are due, too, that were put off because the hop gave no answer at all. */
  readonly withUnreached: boolean
}

/** How many entries there are. */
export interface EntryCounts {
  readonly pending: number
  readonly failed: number
}

/**
 * The records of files that wait for their next hop: at most one under a key. Each method that changes something is one
 * step, unless it says otherwise, and resolves once the change is durable.
 *
 * An entry that is claimed is nobody else's to hand on, until an attempt is recorded, it is given back or removed, or
 * its lease ends. So of several processes that share the repository one works on it, and when that one is gone, another.
 * A process that was late, and whose entry another one has claimed by then or removed, changes nothing: it is told
 * `lost`. Each process has one repository, which stands for it.
 */
export interface OutboxRepository {
  /**
   * Records an entry in place of the one that was seen under its key.
   * @returns `changed` when another one is there by now, or none; `too-many` when its source has so many files already,
   * and none with this key, kept or waiting. Then nothing has changed
   */
  add(
    entry: QueuedFile,
    instead: { readonly replacing: QueuedFile | undefined } & SourceLimit
  ): Promise<'added' | 'changed' | 'too-many'>
  /** Counts an attempt on an entry that the caller has claimed, says what came of it, and gives the entry back. */
  recordAttempt(id: string, attempt: OutboxAttempt): Promise<'done' | 'lost'>
  /** Removes an entry that the caller has claimed: nothing is left to do for it. */
  finish(id: string): Promise<'done' | 'lost'>
  /** Makes an entry due, or all, failed ones too; all of them in several steps. @returns how many there are */
  makeDue(nowMs: number, id?: string): Promise<number>
  /** Removes an entry whoever works on it, who then has lost it. @returns whether there was such an entry */
  remove(id: string): Promise<boolean>

  /** Claims pending entries for `targets` that are due and that nobody works on, the longest waiting first. */
  claimDue(targets: readonly string[], due: DueEntries, limit: number, leaseMs: number): Promise<QueuedFile[]>
  /**
   * Makes the leases of entries that the caller has claimed end so much later than now.
   * @returns the ids of those that it has not, or not any more
   */
  renew(ids: readonly string[], leaseMs: number): Promise<string[]>
  /** Ends the caller's claims, whatever was claimed of these. */
  giveBack(ids: readonly string[]): Promise<void>
  /**
   * When the first pending entry for one of `targets` that nobody works on is due; undefined when there is none.
   * @param latestMs as in {@link DueEntries}
   */
  nextDue(targets: readonly string[], latestMs: number): Promise<number | undefined>
  /** Targets of pending entries. */
  targets(): Promise<string[]>

  find(id: string): Promise<QueuedFile | undefined>
  findByKey(key: FileKey): Promise<QueuedFile | undefined>
  /**
   * Entries as they are listed, the oldest first.
   * @param after the id of the last one seen; empty: from the first one on
   * @param nodeId only entries that this node is the source or the target of
   */
  page(after: string, limit: number, nodeId?: string): Promise<ListedFile[]>
  /** @param nodeId as for {@link page} */
  counts(nodeId?: string): Promise<EntryCounts>
  /** How many pending entries there are for each target. */
  countByTarget(): Promise<{ readonly target: string; readonly count: number }[]>
  totals(): Promise<Totals>
  ids(): Promise<string[]>
  /** Ids of entries that have expired, the oldest first. */
  expired(nowMs: number): Promise<string[]>
}
