import { constants, lstatSync, readlinkSync, type Stats, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { errorCode } from '../../values/failures/system-error.js'
import { isPrivileged } from '../../values/files/file-writers.js'
import { STICKY } from '../../values/folders/closed-folder.js'

const { S_IWGRP, S_IWOTH } = constants
const ROOT = 0
const MAX_SYMBOLIC_LINKS = 40

/** A folder in which a relay or an agent writes, by the setting that names it. */
export interface WrittenFolder {
  readonly setting: string
  readonly path: string
}

/**
 * @param user whose process it is, or will be
 * @returns a warning for each folder in which others may write, and for each on the way to one: they can remove and replace
 * what is there. None for what is not there
 */
export function openFolderWarnings(folders: readonly WrittenFolder[], user = process.geteuid?.()): string[] {
  const ofSettings = folders.map(({ path }) => identityOf(findFolder(path)))
  return folders.flatMap(({ setting, path }) => {
    const found = findFolder(path)
    const problem = found === undefined ? undefined : openness(found, user)
    const own = problem === undefined ? [] : [`${setting} ${path} ${problem[0]}; ${problem[1]} ${path}`]
    return [...own, ...openWays(path, ofSettings, user).map(text => `${setting} ${path}: the folder ${text}`)]
  })
}

/** @param ofSettings folders that are warned of themselves */
function openWays(path: string, ofSettings: readonly (string | undefined)[], user: number | undefined): string[] {
  const isRefused = user === ROOT && isPrivileged() // root refuses to start by a way of another user's, or of everyone's
  return [...foldersOnWay(path)].flatMap(folder => {
    const found = findFolder(folder)
    if (found === undefined || ofSettings.includes(identityOf(found))) return []
    const { uid, mode } = found
    if (isRefused && (uid !== ROOT || (mode & S_IWOTH) !== 0)) return []
    const isOthers = uid !== ROOT && uid !== user
    const problem = !isOthers && (mode & STICKY) !== 0 ? undefined : openness(found, user)
    return problem === undefined ? [] : [`${folder} on the way to it ${problem[0]}; ${problem[1]} ${folder}`]
  })
}

/** Finds the folders above a path, and above what each symbolic link in it leads to. */
function foldersOnWay(path: string, linksLeft = MAX_SYMBOLIC_LINKS): Set<string> {
  const folder = dirname(path)
  if (folder === path || linksLeft < 0) return new Set()
  const above = foldersOnWay(folder, linksLeft).add(folder)
  const target = targetOf(path)
  return target === undefined ? above : new Set([...above, ...foldersOnWay(resolve(folder, target), linksLeft - 1)])
}

function targetOf(path: string): string | undefined {
  try {
    return lstatSync(path).isSymbolicLink() ? readlinkSync(path) : undefined
  } catch (error) {
    if (errorCode(error) === undefined) throw error
    return undefined // whoever uses the path meets the same error
  }
}

/** The number of a folder, by which it is known under another path. */
export function identityOf(found: Stats | undefined): string | undefined {
  return found === undefined ? undefined : `${found.dev}:${found.ino}`
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
  if ((mode & S_IWOTH) !== 0) {
    const mend = (mode & STICKY) === 0 ? 'chmod o-w' : 'choose another folder than' // one such as /tmp stays open
    return ['is open to every user of this machine, who may put files there', mend]
  }
  if (uid !== ROOT || (mode & S_IWGRP) === 0) return undefined // a user's own group is theirs
  return [`is open to group ${gid}, who may change what is there`, 'chmod g-w']
}
