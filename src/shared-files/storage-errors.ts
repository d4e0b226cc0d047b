import { RelayError } from '../values/relay-error.js'

const FULL_CODES: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'SQLITE_FULL'])

/** The code of a failed system call or SQLite call, if it is one. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

export function isMissing(error: unknown): boolean {
  return errorCode(error) === 'ENOENT'
}

/** Makes a full disk the expected failure that it is; everything else stays as it was. */
export function asStorageError(error: unknown): unknown {
  const code = errorCode(error) ?? ''
  if (!FULL_CODES.has(code)) return error
  const setting = code === 'SQLITE_FULL' ? 'storage.path' : 'shared_files.path'
  return new RelayError(
    'STORAGE_FULL',
    `the disk that holds ${setting} is full; nothing was stored, free some space or try again later`,
    { cause: error }
  )
}
