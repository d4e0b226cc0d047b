import { constants } from 'node:os'

/** Node has no name for this failure of system calls, and calls it unknown. */
const QUOTA_EXCEEDED = { number: -constants.errno.EDQUOT, code: 'EDQUOT', text: 'EDQUOT: disk quota exceeded' }

/** The `code` of a failed system call (`ENOENT`), or of an error of Node; undefined for anything else. */
export function errorCode(error: unknown): string | undefined {
  if (isQuotaExceeded(error)) return QUOTA_EXCEEDED.code
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

function isQuotaExceeded(error: unknown): error is Error {
  return (
    error instanceof Error &&
    'errno' in error &&
    error.errno === QUOTA_EXCEEDED.number &&
    /^Unknown/.test(error.message)
  )
}

/** Whether a call of the system failed since there is no such file or folder. */
export function isMissing(error: unknown): boolean {
  return errorCode(error) === 'ENOENT'
}

/** The path that a call of the system, from which an error came, may not use as this user; undefined for any other error. */
export function forbiddenPath(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  const isForbidden = ['EACCES', 'EPERM'].includes(errorCode(error) ?? '')
  return isForbidden && 'path' in error ? String(error.path) : forbiddenPath(error.cause)
}

/** The thrown value as an error. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown))
}

/** The message of an error, for a user or a log: whatever was thrown. */
export function errorMessage(error: unknown): string {
  if (isQuotaExceeded(error)) {
    return error.message.replace(/^(?:Unknown system error -\d+(?:: )?)+/, QUOTA_EXCEEDED.text)
  }
  return error instanceof Error ? error.message : String(error)
}

/** The kind of a failure, by which it is logged once: messages of one kind may name other files. */
export function failureKind(error: unknown): string {
  return errorCode(error) ?? errorMessage(error)
}
