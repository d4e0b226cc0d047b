import type { FileKey } from '../../values/ids.js'
import type { ListedKeptFile, QueuedFile, StoredFile } from './file-record.js'

/** The part of a file's record that HEAD needs. */
export interface FileHash {
  readonly hash: string
  readonly expiresAtMs: number
  readonly via: string
}

/** How many files there are, and their size in all. */
export interface Totals {
  readonly count: number
  readonly bytes: number
}

/** The records that a file which is to be kept replaces. */
export interface Replacement {
  /** The version that the caller has seen under its key; undefined: there was none. */
  readonly replacing: StoredFile | undefined
  /** An outbox entry that goes in the same step: the file is where it belongs. */
  readonly insteadOf?: QueuedFile | undefined
  /** Whether the caller works on that entry, having claimed it. */
  readonly isClaimed?: boolean
}

/** The mark below which files were numbered, as it was before it was raised: no process gives numbers in between but the caller. */
export interface AcceptanceMark {
  /** The series of the numbers, a random id that is as old as the records: whoever has lost them begins another one. */
  readonly series: string
  /** 0 at the first start. */
  readonly before: number
}

/** The most files of one source, kept and waiting together. */
export interface SourceLimit {
  /** Undefined: as many as come. */
  readonly maxOfSource?: number | undefined
}

/**
 * The records of files that are kept here. Each method that changes something is one step, and resolves once the change
 * is durable.
 *
 * There is one version under a key at a time, and a change names the version that it is for. So of several processes
 * that share the repository none undoes what another did in between. A version that was marked as durable meanwhile is still the
 * same one.
 */
export interface FileRepository {
  /**
   * Records a version in place of the one that was seen.
   * @returns `changed` when another one is there by now; `too-many` when its source has so many files already, and none
   * with this key, kept or waiting; `lost` when the caller's claim on the entry is another process's by now, or the
   * entry is gone. Then nothing has changed
   */
  keep(file: StoredFile, instead: Replacement & SourceLimit): Promise<'kept' | 'changed' | 'too-many' | 'lost'>
  /** Puts back what {@link keep} replaced, and the outbox entry. @returns whether `file` was still the version that is kept */
  undo(file: StoredFile, instead: Replacement): Promise<boolean>
  /** Notes that files are in place, durably, whose names in `.incoming~` were these. Versions replaced since stay. */
  markDurable(spools: readonly string[]): Promise<void>
  /** Changes the times of a version. @returns whether it was still the version that is kept */
  redate(file: StoredFile, times: Pick<StoredFile, 'storedAtMs' | 'expiresAtMs'>): Promise<boolean>
  /** Removes these very versions. @returns those that were still kept */
  remove(files: readonly StoredFile[]): Promise<StoredFile[]>

  find(key: FileKey): Promise<StoredFile | undefined>
  findHash(key: FileKey): Promise<FileHash | undefined>
  /** Files that may not be in place yet. */
  unsettled(): Promise<StoredFile[]>
  /** Files that follow `after` in the order of keys. */
  page(after: FileKey, limit: number): Promise<StoredFile[]>
  /** The {@link page} of files that are kept on behalf of a relay below. */
  pageOnBehalf(relay: string, after: FileKey, limit: number): Promise<StoredFile[]>
  /** Files for a node that have not expired; `fileId` undefined: under any name. */
  forTarget(target: string, fileId: string | undefined, nowMs: number, limit: number): Promise<ListedKeptFile[]>
  /** Keys of files that have expired, the oldest first. @param skip so many of them are left out */
  expired(nowMs: number, limit: number, skip: number): Promise<FileKey[]>
  totals(): Promise<Totals>
  /** How many files of a source there are, kept and waiting. */
  countOfSource(source: string): Promise<number>

  /** Raises the mark: the number that is greater than those of all files that were ever accepted. Nothing lowers it. */
  raiseAcceptanceMark(number: number): Promise<AcceptanceMark>
}
