import { constants, type Stats, statSync } from 'node:fs'
import { errorCode } from '../../values/failures/system-error.js'

const { S_IWGRP, S_IWOTH } = constants
const ROOT = 0

/** A folder in which a relay or an agent writes, by the setting that names it. */
export interface WrittenFolder {
  readonly setting: string
  readonly path: string
}

/**
 * @param user whose process it is, or will be
 * @returns a warning for each folder in which others may write: they can remove and replace what is there. None for what is not there
 */
export function openFolderWarnings(folders: readonly WrittenFolder[], user = process.geteuid?.()): string[] {
  return folders.flatMap(({ setting, path }) => {
    const found = findFolder(path)
    const problem = found === undefined ? undefined : openness(found, user)
    return problem === undefined ? [] : [`${setting} ${path} ${problem[0]}; ${problem[1]} ${path}`]
  })
}

/**
 * The warnings of {@link openFolderWarnings}, for the owner of `storage.path`: the user that checks is not always the
 * user that runs it.
 */
export function openStorageWarnings(storage: WrittenFolder, others: readonly WrittenFolder[] = []): string[] {
  const owner = findFolder(storage.path)?.uid
  return openFolderWarnings([storage, ...others], owner)
}

/** Finds what is at a path. @returns undefined where this user finds nothing there: a file or a loop of links on the way as well. */
export function findFolder(path: string): Stats | undefined {
  try {
    return statSync(path)
  } catch (error) {
    if (errorCode(error) === undefined) throw error
    return undefined
  }
}

/** @returns what is wrong, and what mends it */
function openness({ uid, gid, mode }: Stats, user: number | undefined): [string, string] | undefined {
  if (uid !== ROOT && uid !== user)
    return [`belongs to user ${uid}, who may change what is there`, `chown ${user ?? ROOT}`]
  if ((mode & S_IWOTH) !== 0) return ['is open to every user of this machine, who may put files there', 'chmod o-w']
  if (uid !== ROOT || (mode & S_IWGRP) === 0) return undefined // a user's own group is theirs
  return [`is open to group ${gid}, who may change what is there`, 'chmod g-w']
}
