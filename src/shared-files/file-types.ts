import type { Readable } from 'node:stream'
import type { Origin } from '../network/caller.js'
import type { FileKey } from '../values/ids.js'
import type { Acceptance, ListedKeptFile } from './keeping/file-record.js'
import type { LostFiles } from './upkeep/lost-files.js'

/** The acceptance of a file as the relay states it that passes the file on. */
export interface StatedAcceptance extends Acceptance {
  /** When it said so, by its clock, in ms since 1970; undefined: its clock is taken for right. */
  readonly sentAtMs: number | undefined
}

/** A file being handed in. The ids were not checked yet. */
export interface PutRequest {
  readonly key: FileKey
  /** Decoded query parameters: `ttl`, and perhaps the metadata fields (contract, "The PUT body"). */
  readonly query: Readonly<Record<string, string>>
  /** The length of the whole body, undefined when it is chunked. */
  readonly contentLength: number | undefined
  /**
   * A relay passes it on, or says so: metadata that came in the query stands in the body by then, so only the file
   * itself counts against the largest body.
   */
  readonly isPassedOn: boolean
  readonly body: Readable
  readonly origin: Origin
  /**
   * The key hash of the source, from a policy server alone, as `stated` is from a known relay alone; the API
   * drops them from anyone else.
   */
  readonly sourceKeyHash: string | undefined
  /** The acceptance, as the relay states it that passes the file on; undefined where this relay is the first one. */
  readonly stated: StatedAcceptance | undefined
  /** Whether an unidentified caller vouches for the source: perhaps our policy server, where we cannot recognize it. */
  readonly isVouchedByStranger?: boolean
  /** Called once, when all that can be checked before the body was (time to say `100 Continue`). */
  readonly onContinue: () => void
}

/**
 * - `stored`: kept here, or by the relay that keeps it
 * - `superseded`: a newer copy is already there; nothing changed
 * - `pending`: in the outbox, on disk, because the next hop cannot be reached now
 */
export type PutOutcome = 'stored' | 'superseded' | 'pending'

/** A kept file, open for reading by path. */
export interface KeptFile {
  readonly kind: 'kept'
  readonly path: string
  readonly sizeBytes: number
  /** Hex, by `algorithm`; serves as the ETag. */
  readonly hash: string
  readonly algorithm: string
  readonly storedAtMs: number
  readonly expiresAtMs: number
  /** The metadata block as stored, without `expires`, for whoever verifies the file again. */
  readonly metadata: string
}

/** A kept file that is about to be opened. */
export interface FoundFile extends KeptFile {
  /** Opens it, or looks at it, by the path that `work` is given: nobody can make that one lead elsewhere meanwhile. */
  within<T>(work: (path: string) => Promise<T>): Promise<T>
  /**
   * Whether it is still this version that is kept. The record changes before the file does: what was opened at `path` before
   * this was asked is described by the other members, if so.
   */
  isCurrent(): Promise<boolean>
  /**
   * Looks at the file once more, when it cannot be opened, or is not a file of its size, and forgets it unless it is
   * as it was kept, or another version.
   * @returns whether it is as it was kept; else it is to be looked up again
   * @throws {RelayError} STORAGE_UNUSABLE when `shared_files.path` itself is gone
   */
  recheck(): Promise<boolean>
}

/** A file that the next hop gives. */
export interface RelayedFile {
  readonly kind: 'relayed'
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Readable
}

export interface OutboxEntry {
  /** A ULID. */
  readonly id: string
  readonly key: FileKey
  readonly state: 'pending' | 'failed'
  readonly sizeBytes: number
  readonly acceptedAtMs: number
  readonly expiresAtMs: number
  readonly attempts: number
  /** When it is tried next; undefined once it failed. */
  readonly nextAttemptAtMs: number | undefined
  /** Why it is still here, for a user. */
  readonly lastError: string | undefined
}

export interface SharedFilesStatus {
  readonly files: number
  readonly bytes: number
  readonly outboxPending: number
  readonly outboxFailed: number
  readonly outboxBytes: number
}

/** Files that nodes hand to nodes: kept here, or passed on towards the relay of the target. */
export interface SharedFiles {
  /** @throws {RelayError | HopRefusedError} with nothing visible changed */
  put(request: PutRequest): Promise<PutOutcome>

  /** Whether the file is where it belongs (or under way there) with this hash. Synchronous when it is known here. */
  head(key: FileKey, hash: string, origin: Origin): boolean | Promise<boolean>

  /**
   * @param headers of the request that matter to a hop: `range`, `if-none-match`, `if-range`
   * @throws {RelayError} NOT_FOUND, FORBIDDEN, HOP_UNREACHABLE
   */
  get(key: FileKey, origin: Origin, headers: Readonly<Record<string, string>>): Promise<FoundFile | RelayedFile>

  /**
   * The files that are kept here for a node, 1,000 at most, from any source; `fileId` undefined: under any name.
   * @throws {RelayError} FORBIDDEN for callers that may not read that node's files
   */
  list(target: string, fileId: string | undefined, origin: Origin): Promise<ListedKeptFile[]>

  /** A link with this neighbour (or POLICY_SERVER) has opened: what waits for it in the outbox goes now. */
  hopIsBack(hop: string): void
  readonly outbox: {
    /**
     * A page of entries, the oldest first; the next one follows `after`, the id of the last entry.
     * @param nodeId only those that this node is the source or the target of
     */
    list(after?: string, nodeId?: string): Promise<OutboxEntry[]>
    /** All that there are. @param nodeId as for `list` */
    counts(nodeId?: string): Promise<{ readonly pending: number; readonly failed: number }>
    /** How many pending ones there are for each target. */
    countByTarget(): Promise<readonly { readonly target: string; readonly count: number }[]>
    /** Tries an entry (failed ones too), or all, now. @returns how many */
    retry(id?: string): Promise<number>
    /** Gives an entry up, file and all. @returns whether there was one */
    drop(id: string): Promise<boolean>
  }

  status(): Promise<SharedFilesStatus>

  /** Files without a record, which the operator has to look at. */
  lost(): LostFiles

  /** Removes all that has expired, in small steps. Never twice at once. @returns how many files went */
  purgeExpired(signal: AbortSignal): Promise<number>

  /** Finishes or undoes what a crash left. To be awaited before the first request is taken. */
  recover(): Promise<void>

  /** Compares folder and records (adopting an existing relay's files), then starts the outbox. Runs beside requests. */
  start(): void

  /** Ends retries and waits for what is under way. */
  stop(): Promise<void>
}
