import { StorageFailure, type StorageFailureKind } from '../../values/failures/storage-failure.js'
import { errorCode, errorMessage } from '../../values/failures/system-error.js'

/** The kinds by the code of SQLite, or by its first two words: the rest says where it happened. */
const KINDS: ReadonlyMap<string, StorageFailureKind> = new Map([
  ['SQLITE_FULL', 'full'],
  ['SQLITE_IOERR_SHMSIZE', 'full'], // the file beside the database could not grow
  ['SQLITE_READONLY', 'read-only'],
  ['SQLITE_IOERR', 'broken'],
  ['SQLITE_IOERR_WRITE', 'broken-or-quota'],
  ['SQLITE_CORRUPT', 'damaged'],
  ['SQLITE_NOTADB', 'damaged'],
  ['SQLITE_BUSY', 'locked'],
  ['SQLITE_CANTOPEN', 'cannot-open']
])

/** @returns what to throw in the place of `error`: itself, unless SQLite refused as any storage can */
export function asStorageFailure(error: unknown): unknown {
  const code = errorCode(error)
  if (code === undefined || error instanceof StorageFailure) return error
  const kind = KINDS.get(code) ?? KINDS.get(code.split('_', 2).join('_'))
  return kind === undefined ? error : new StorageFailure(kind, errorMessage(error), code)
}

/** Does `work`, and throws what SQLite refuses as a {@link StorageFailure}. */
export function translated<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw asStorageFailure(error)
  }
}

/** Gives the rows of a query one by one, as {@link translated} gives a result. */
export function* translatedRows<T>(rows: Iterable<T>): Generator<T, undefined> {
  try {
    yield* rows
  } catch (error) {
    throw asStorageFailure(error)
  }
}
