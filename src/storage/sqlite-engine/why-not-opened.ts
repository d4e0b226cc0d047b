import { accessSync, closeSync, constants, openSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { temporaryName } from '../../file-system/files/leftovers.js'
import { asError, isMissing } from '../../values/failures/system-error.js'

const { R_OK, W_OK } = constants

/**
 * Finds what the system says where SQLite only says that a database cannot be opened: no file can be made beside it (the
 * disk has no room or no inodes left, the process has as many files open as it may), or one may not be used.
 * @param files the database, and what SQLite keeps beside it. They are not opened: to close one would give back its locks
 * @returns undefined where the system refuses nothing now
 */
export function whyNotOpened(files: readonly [string, ...string[]]): Error | undefined {
  const folder = dirname(files[0])
  try {
    for (const file of files) accessIfThere(file)
  } catch (error) {
    return asError(error)
  }
  const probe = join(folder, temporaryName(basename(files[0])))
  try {
    closeSync(openSync(probe, 'wx', 0o600))
    rmSync(probe)
    return undefined
  } catch (error) {
    return Object.assign(asError(error), { path: folder }) // nobody knows the name of the probe
  }
}

function accessIfThere(file: string): void {
  try {
    accessSync(file, R_OK | W_OK)
  } catch (error) {
    if (!isMissing(error)) throw error
  }
}
