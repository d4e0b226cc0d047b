import { readFile } from 'node:fs/promises'
import { withoutByteOrderMark } from '../values/byte-order-mark.js'
import { whyNotRead } from '../values/file-failure.js'
import { CommandError, UsageError } from './command-error.js'
import { readRegularFile } from './regular-file.js'

/**
 * Which file of a command line cannot be read, why, and what to do.
 * @param name of the argument or option, as in the usage: `<path>`, `--ca`
 */
export function whyUnreadable(name: string, path: string, error: unknown): string {
  return `${name} ${path} cannot be read: ${whyNotRead(error)}`
}

/**
 * A small text file that an option names, without a byte order mark. A pipe is as good: a shell names one for `<(…)`.
 * @throws {UsageError} when it cannot be read
 */
export async function readNamedFile(name: string, path: string): Promise<string> {
  try {
    return withoutByteOrderMark(await readFile(path, 'utf8'))
  } catch (error) {
    throw new UsageError(whyUnreadable(name, path, error), { cause: error })
  }
}

/** As {@link readNamedFile}, for a file that a configuration names: a regular one. @throws {UsageError} */
export async function readConfiguredFile(setting: string, path: string): Promise<string> {
  try {
    return withoutByteOrderMark(await readRegularFile(path, `${setting} ${path}`))
  } catch (error) {
    if (error instanceof CommandError) throw error
    throw new UsageError(whyUnreadable(setting, path, error), { cause: error })
  }
}
