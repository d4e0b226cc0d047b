import type { FileKey } from '../../values/ids.js'

/** What is known of a file, wherever it is on its way. Times are ms since 1970. */
export interface FileRecord extends FileKey {
  readonly sizeBytes: number
  readonly algorithm: string
  /** Lower-case hex. */
  readonly hash: string
  /** When the first relay took it. */
  readonly acceptedAtMs: number
  readonly expiresAtMs: number
  /** Null for RSA, whose signature does not cover it. */
  readonly signedAtMs: number | null
  /** The metadata block, without `expires`. */
  readonly metadata: string
}

/** A file that is kept here. */
export interface KeptRecord extends FileRecord {
  /** Where it lies, see `PlacedKey` in `file-layout.ts`. */
  readonly via: string
}

/** One version of a file that is kept here, as it is recorded. */
export interface StoredFile extends KeptRecord {
  readonly storedAtMs: number
  /** While the file is being put in place: its name in `.incoming~`. */
  readonly spool: string | undefined
}

type Age = Pick<FileRecord, 'acceptedAtMs' | 'expiresAtMs' | 'signedAtMs'>

/**
 * Whether `file` is an older copy than `other`, which is kept or under way: signed earlier, where both signatures cover
 * a time, else accepted earlier. One that has expired is not in anyone's way; nor is one that was accepted by a clock that
 * was ahead, except for those that came by such a clock, too.
 */
export function isOlder(file: Age, other: Age, nowMs: number): boolean {
  if (other.expiresAtMs <= nowMs) return false
  if (file.signedAtMs !== null && other.signedAtMs !== null && file.signedAtMs !== other.signedAtMs) {
    return file.signedAtMs < other.signedAtMs
  }
  const isOtherAhead = other.acceptedAtMs > nowMs && file.acceptedAtMs <= nowMs
  return !isOtherAhead && file.acceptedAtMs < other.acceptedAtMs
}
