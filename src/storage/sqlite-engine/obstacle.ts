import { existsSync, lstatSync, readlinkSync, type Stats, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { kindOf } from '../../file-system/files/regular-file.js'
import { isOfRootOr } from '../../file-system/permissions/writers.js'

/**
 * Names what is at `path` and is no file of a database, as a message does: SQLite only says that it cannot be opened, or that the disk reports
 * errors. A symbolic link counts unless it is root's or this user's: SQLite would follow it to what its owner may not write.
 * @returns undefined for a file, where there is nothing, and where it cannot be told
 */
export function obstacleAt(path: string): string | undefined {
  try {
    const itself = lstatSync(path)
    if (!itself.isSymbolicLink()) return otherThanFile(itself)
    if (!isOfRootOr(itself.uid, process.geteuid?.())) return `a symbolic link of user ${itself.uid}`
    // through a link, SQLite makes a file in a folder that is there
    if (!existsSync(resolve(dirname(path), dirname(readlinkSync(path))))) return 'a symbolic link that leads nowhere'
    return otherThanFile(statSync(path))
  } catch {
    return undefined // whoever opens it says why it cannot be
  }
}

function otherThanFile(found: Stats): string | undefined {
  return found.isFile() ? undefined : kindOf(found)
}
