import type { FileKey } from '../../values/ids.js'

/** The facts that decide which of two files with one name is the later one. */
export interface Acceptance {
  /**
   * When the first relay took it, in ms since 1970, by the clock of this relay where theirs differ. It compares files that
   * several relays took, and depends on their clocks.
   */
  readonly acceptedAtMs: number
  /**
   * The series in which the first relay numbers the files that it takes, a random id, and the number in it: it compares
   * files that this relay took, whatever any clock says. Undefined where that is not known.
   */
  readonly series: string | undefined
  readonly seriesNumber: number | undefined
}

/** The record of a file, wherever it is on its way. Times are ms since 1970. */
export interface FileRecord extends FileKey, Acceptance {
  readonly sizeBytes: number
  readonly algorithm: string
  /** Lower-case hex. */
  readonly hash: string
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

type Age = Acceptance & Pick<FileRecord, 'expiresAtMs' | 'signedAtMs'>

/** How far the clocks of two relays may differ: a time that is farther ahead was given by a clock that was ahead. */
export const SKEW_MS = 60_000

/** Whether a time of acceptance is ahead of the clock by more than relays differ. */
export function isAhead(acceptedAtMs: number, nowMs: number): boolean {
  return acceptedAtMs > nowMs + SKEW_MS
}

/**
 * Whether `file` is an older copy than `other`, which is kept or under way: signed earlier, where both signatures cover
 * a time; else taken earlier by the same first relay; else accepted earlier. Of those that several relays took, one that has
 * expired is not in anyone's way, nor is one that was accepted by a clock that was ahead, except for another such one.
 */
export function isOlder(file: Age, other: Age, nowMs: number): boolean {
  const hasExpired = other.expiresAtMs <= nowMs
  const signed = hasExpired ? 0 : compared(file.signedAtMs, other.signedAtMs)
  if (signed !== 0) return signed < 0
  if (file.series !== undefined && file.series === other.series) {
    return compared(file.seriesNumber, other.seriesNumber) < 0
  }
  const isOtherAhead = isAhead(other.acceptedAtMs, nowMs) && !isAhead(file.acceptedAtMs, nowMs)
  return !hasExpired && !isOtherAhead && file.acceptedAtMs < other.acceptedAtMs
}

/** Less than 0 where `a` is less; 0 where one is not known. */
function compared(a: number | undefined, b: number | undefined): number {
  return a === undefined || b === undefined ? 0 : a - b
}
