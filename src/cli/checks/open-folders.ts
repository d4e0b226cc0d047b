import { lstatSync, readlinkSync, type Stats, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { errorCode } from '../../values/failures/system-error.js'
import { isPrivileged, ROOT } from '../../values/permissions/root.js'
import { findUntrusted, isSticky, replacersOf, type Writer, writersOf } from '../../values/permissions/writers.js'

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
    const problem = found === undefined ? undefined : openness(found, writersOf(found), user)
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
    const replacers = replacersOf(found)
    if (isRefused && replacers.some(isRefusedOnWay)) return []
    const problem = openness(found, replacers, user)
    return problem === undefined ? [] : [`${folder} on the way to it ${problem[0]}; ${problem[1]} ${folder}`]
  })
}

/**
 * Whether root does not pass a folder on the way that they may change. A group is only warned of: many a folder is given to one.
 * @param replacer who could lead the way elsewhere
 */
export function isRefusedOnWay({ gid }: Writer): boolean {
  return gid === undefined
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

/**
 * @param writers of the folder, or those who could replace what is in it
 * @returns what is wrong, and what mends it
 */
function openness(folder: Stats, writers: readonly Writer[], user: number | undefined): [string, string] | undefined {
  const writer = findUntrusted(writers, folder, { uids: [user], groupsOfOwners: true })
  if (writer === undefined) return undefined
  const { uid, gid } = writer
  if (uid !== undefined) return [`belongs to user ${uid}, who may change what is there`, `chown ${user ?? ROOT}`]
  if (gid !== undefined) return [`is open to group ${gid}, who may change what is there`, 'chmod g-w']
  const mend = isSticky(folder) ? 'choose another folder than' : 'chmod o-w' // one such as /tmp stays open
  return ['is open to every user of this machine, who may put files there', mend]
}
