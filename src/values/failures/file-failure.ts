import { errorCode, errorMessage } from './system-error.js'

const ABSENT = 'there is no such file; check the path'
const NOT_ALLOWED = 'this user may not read it; change its mode, or run as its owner'

/** The message of a process that has as many files open as it may. */
export const NO_FILES =
  'this process has as many files open as it may: raise its limit (LimitNOFILE, ulimit -n), or try again in a moment'

/** Failed system calls in the words of whoever named the file. */
const WHY: Readonly<Record<string, string>> = {
  ENOENT: ABSENT,
  ENOTDIR: 'a part of its path is a file, not a folder; check the path',
  EISDIR: 'it is a folder; name a file',
  ELOOP: 'it is a symbolic link that leads to itself; name the file',
  EACCES: NOT_ALLOWED,
  EPERM: NOT_ALLOWED,
  EMFILE: NO_FILES,
  ENFILE: NO_FILES
}

/** Why a file that somebody named cannot be read: not in the words of the system, where there are better ones. */
export function whyNotRead(error: unknown): string {
  return WHY[errorCode(error) ?? ''] ?? errorMessage(error)
}

/**
 * The message for a file that cannot be read: which one, why, and what to do.
 * @param name of what names the file: a setting, or an argument or option as in the usage: `<path>`, `--ca`
 */
export function whyUnreadable(name: string, path: string, error: unknown): string {
  return `${name} ${path} cannot be read: ${whyNotRead(error)}`
}
