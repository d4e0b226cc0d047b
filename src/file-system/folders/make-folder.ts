import { accessSync, constants, lstatSync, mkdirSync, readlinkSync, statSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { errorCode, errorMessage } from '../../values/failures/system-error.js'

/**
 * Makes a folder, and those above it that are missing. One by one, from the topmost: under /proc the system says that
 * the folder above is missing although it is there, and Node's `recursive` would try again for ever.
 * @param mode of each one that is made
 * @throws {Error} names the one that cannot be made; its cause is what the system said
 */
export function makeFolder(folder: string, mode = 0o750): void {
  for (const next of missingFolders(folder)) {
    try {
      mkdirSync(next, mode)
    } catch (error) {
      if (isFolder(next)) continue // someone else has just made it
      const reason = obstacleAt(next) ?? errorMessage(error)
      throw new Error(`${cannotBeMade(next, reason)}; choose another one, or make it yourself`, { cause: error })
    }
  }
}

/** Makes one folder, unless something of that name is there. @throws {Error} of the system, ENOENT where the one above is missing */
export async function makeOneFolder(path: string, mode: number): Promise<void> {
  try {
    await mkdir(path, mode)
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error
  }
}

/** The obstacle to a folder, seen without making it; undefined when the folder exists, or nothing is known. */
export function obstacleTo(folder: string): string | undefined {
  const [next] = missingFolders(folder)
  const reason = next === undefined ? undefined : obstacleAt(next)
  return next === undefined || reason === undefined ? undefined : cannotBeMade(next, reason)
}

/** Whether a folder, or the nearest one above it that exists, is on a file system that is mounted for reading alone. */
export function isReadOnly(folder: string): boolean {
  const [next] = missingFolders(folder)
  try {
    accessSync(next === undefined ? folder : dirname(next), constants.W_OK)
    return false
  } catch (error) {
    return errorCode(error) === 'EROFS' // another user, as the service may be, may have rights that this one has not
  }
}

/** The topmost first. */
function missingFolders(folder: string): string[] {
  const missing: string[] = []
  let path = resolve(folder)
  while (!isFolder(path) && path !== dirname(path)) {
    missing.unshift(path)
    path = dirname(path)
  }
  return missing
}

function cannotBeMade(folder: string, reason: string): string {
  return `the folder ${folder} cannot be made: ${reason}`
}

/** @param path no folder */
function obstacleAt(path: string): string | undefined {
  try {
    if (!lstatSync(path).isSymbolicLink()) return 'there is a file of that name'
    return `it is a symbolic link to ${readlinkSync(path)}, where there is no folder`
  } catch {
    return undefined
  }
}

/** False as well for one that cannot be seen: making it says why. */
function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false
  }
}
