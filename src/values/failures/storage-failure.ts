/** The ways in which a storage of records refuses, whatever it is. */
const KINDS = [
  'full',
  'read-only',
  'broken', // its disk reports errors
  'broken-or-quota', // its disk reports errors, or a quota is used up: it does not say which
  'damaged',
  'locked', // by another process
  'cannot-open'
] as const

export type StorageFailureKind = (typeof KINDS)[number]

const NAME = 'StorageFailure'

/**
 * The failure of a storage of records that cannot do what is asked. A repository rejects with it and has changed
 * nothing, or only a part that it says so of. `disk-failure.ts` has the words for users.
 */
export class StorageFailure extends Error {
  override readonly name = NAME

  /** @param code of the storage itself: for the log, and for nobody to decide by */
  constructor(
    readonly kind: StorageFailureKind,
    message: string,
    readonly code?: string
  ) {
    super(message)
  }
}

/** The kind of a {@link StorageFailure}, also of one that came from another thread as a copy; undefined for anything else. */
export function storageFailureKind(error: unknown): StorageFailureKind | undefined {
  if (!(error instanceof Error) || error.name !== NAME || !('kind' in error)) return undefined
  return KINDS.find(kind => kind === error.kind)
}

/** Whether a storage is damaged, or is none. */
export function isDamage(error: unknown): boolean {
  return storageFailureKind(error) === 'damaged'
}
