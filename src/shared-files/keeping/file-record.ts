import type { FileKey } from '../../values/ids.js'
import { EARLIEST_MS } from '../../values/time/earliest-time.js'

/** The record of a file, wherever it is on its way. Times are ms since 1970. */
export interface FileRecord extends FileKey {
  readonly sizeBytes: number
  readonly algorithm: string
  /** Lower-case hex. */
  readonly hash: string
  /** When the first relay took it. */
  readonly acceptedAtMs: number
  readonly expiresAtMs: number
  /** Undefined for RSA, whose signature does not cover it. */
  readonly signedAtMs: number | undefined
  /** The metadata block, without `expires`. */
  readonly metadata: string
}

/** A file that is kept here. */
export interface KeptRecord extends FileRecord {
  /** The relay on whose behalf it is kept, see `PlacedKey` in `file-layout.ts`. */
  readonly via: string
}

/** A version of a file that is kept here, as it is recorded. */
export interface StoredFile extends KeptRecord {
  readonly storedAtMs: number
  /** The name in `.incoming~`, while the file is being put in place. */
  readonly spool: string | undefined
}

/** The way on which a file came here, for those who get it next. */
export interface Provenance {
  /** The key hash of the source, in the form of the nodes list. */
  readonly keyHash: string
  /** Relays passed before this one, as in the header. */
  readonly passed: string
  readonly requestId: string
}

/** A file that waits in the outbox for its next hop. */
export interface QueuedFile extends FileRecord, Provenance {
  /** A ULID. */
  readonly id: string
  /** `failed`: a hop refused it. */
  readonly state: 'pending' | 'failed'
  readonly attempts: number
  readonly nextAttemptAtMs: number
  /** The status of the hop's last answer; undefined when it gave none. */
  readonly lastStatus: number | undefined
  /** Why it is still here, for a user. */
  readonly lastError: string | undefined
}

/** A kept file as it is listed, without its metadata block as well. */
export type ListedKeptFile = FileKey & Pick<StoredFile, 'sizeBytes' | 'algorithm' | 'hash' | 'expiresAtMs'>

/** An entry of the outbox as it is listed: without the metadata block, which may have 64 KiB. */
export type ListedFile = FileKey &
  Pick<
    QueuedFile,
    'id' | 'state' | 'sizeBytes' | 'acceptedAtMs' | 'expiresAtMs' | 'attempts' | 'nextAttemptAtMs' | 'lastError'
  >

type Age = Pick<FileRecord, 'acceptedAtMs' | 'expiresAtMs' | 'signedAtMs'>

/** How far the clocks of two relays may differ: a time that is farther ahead was given by a clock that was ahead. */
export const SKEW_MS = 60_000
/** A clock that is wrong by a time zone, either way, is wrong by less. */
const FARTHEST_AHEAD_MS = 24 * 3_600_000

/** No time is later, for SQLite and for dates. */
const LATEST_MS = 8e15

/** Whether a time of acceptance is ahead of the clock by more than relays differ. */
export function isAhead(acceptedAtMs: number, nowMs: number): boolean {
  return acceptedAtMs > nowMs + SKEW_MS
}

/**
 * Whether a time of acceptance is so far ahead of the clock that it was given by one that was ahead, and not by one that has
 * been set back since.
 */
export function isImplausible(acceptedAtMs: number, nowMs: number): boolean {
  return acceptedAtMs > latestPlausible(nowMs)
}

/** The latest time of acceptance that is not {@link isImplausible}. */
export function latestPlausible(nowMs: number): number {
  return nowMs < EARLIEST_MS ? LATEST_MS : nowMs + FARTHEST_AHEAD_MS
}

/**
 * Whether `file` is an older copy than `other`, which is kept or under way: signed earlier, where both signatures cover
 * a time, else accepted earlier. One that has expired is not in anyone's way; nor is one that was accepted by a clock that
 * was ahead, except for those that came by such a clock, too, and none where that is implausible.
 */
export function isOlder(file: Age, other: Age, nowMs: number): boolean {
  if (other.expiresAtMs <= nowMs) return false
  if (file.signedAtMs !== undefined && other.signedAtMs !== undefined && file.signedAtMs !== other.signedAtMs) {
    return file.signedAtMs < other.signedAtMs
  }
  if (isImplausible(other.acceptedAtMs, nowMs)) return false
  const isOtherAhead = isAhead(other.acceptedAtMs, nowMs) && !isAhead(file.acceptedAtMs, nowMs)
  return !isOtherAhead && file.acceptedAtMs < other.acceptedAtMs
}
