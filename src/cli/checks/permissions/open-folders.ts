import { constants, type Stats, statSync } from 'node:fs'
import { identityOf } from '../../../file-system/files/file-identity.js'
import { walkPath } from '../../../file-system/folders/path-walk.js'
import { isPrivileged, ROOT, unmappedRoot } from '../../../file-system/permissions/root.js'
import { groupIdOf } from '../../../file-system/permissions/system-users.js'
import {
  findUntrusted,
  isSticky,
  replacersOf,
  type TrustedWriters,
  type Writer,
  writersOf
} from '../../../file-system/permissions/writers.js'
import { errorCode } from '../../../values/failures/system-error.js'

const { S_IWGRP } = constants

type GroupTrust = Pick<TrustedWriters, 'gids' | 'groupsOfOwners'>
/** The trust in any group to which a trusted user gave a folder. */
const ANY_GROUP: GroupTrust = { groupsOfOwners: true }

/** A folder in which a relay or an agent writes, by the setting that names it. */
export interface WrittenFolder {
  readonly setting: string
  readonly path: string
}

/** The folder of a configuration that root runs by: whoever may change it, chooses what root runs. Others run what they may change. */
export function configurationFolder(directory: string, user = process.geteuid?.()): WrittenFolder[] {
  return user === ROOT && isPrivileged(user) ? [{ setting: '--config', path: directory }] : []
}

/**
 * @param user whose process it is, or will be
 * @returns a warning for each folder in which others may write, and for each on the way to one: they can remove and replace
 * what is there. None for what is not there
 */
export async function openFolderWarnings(
  folders: readonly WrittenFolder[],
  user = process.geteuid?.()
): Promise<string[]> {
  const ofSettings = folders.map(({ path }) => identityOf(findFolder(path)))
  const warnings = folders.map(async ({ setting, path }) => {
    const found = findFolder(path)
    const trust = found && groupTrust(setting, found, user)
    const problem = found === undefined ? undefined : openness(found, writersOf(found), user, trust)
    const own =
      problem === undefined ? [] : [`${setting} ${path} ${problem[0]}; ${problem[1]} ${path}${orAs(found, user)}`]
    const ways = await openWays(path, ofSettings, user)
    return [...own, ...ways.map(text => `${setting} ${path}: the folder ${text}`)]
  })
  return (await Promise.all(warnings)).flat()
}

/** @param ofSettings folders that are warned of themselves */
async function openWays(
  path: string,
  ofSettings: readonly (string | undefined)[],
  user: number | undefined
): Promise<string[]> {
  const isRefused = user === ROOT && isPrivileged() // root refuses to start by a way of another user's, or of everyone's
  return (await foldersOnWay(path)).flatMap(({ path: folder, found }) => {
    if (ofSettings.includes(identityOf(found))) return []
    const replacers = replacersOf(found)
    if (isRefused && replacers.some(isRefusedOnWay)) return []
    const problem = openness(found, replacers, user)
    return problem === undefined ? [] : [`${folder} on the way to it ${problem[0]}; ${problem[1]} ${folder}`]
  })
}

/**
 * The group that may write in a folder of this setting. Shared files may be meant for one (their mode is 0775); databases and
 * outputs of runs are for the user alone, whose own group often has no other members.
 */
function groupTrust(setting: string, folder: Stats, user: number | undefined): GroupTrust {
  const isOwn = user !== undefined && user !== ROOT && folder.uid === user
  if (setting !== 'storage.path' || !isOwn || (folder.mode & S_IWGRP) === 0) return ANY_GROUP
  const gid = user === process.geteuid?.() ? process.getegid?.() : groupIdOf(String(user))
  return gid === undefined ? ANY_GROUP : { gids: [gid] }
}

/** Names the other remedy where root runs in the folder of another user, who may be meant to run this. */
function orAs(found: Stats | undefined, user: number | undefined): string {
  if (user !== ROOT || found === undefined || found.uid === ROOT) return ''
  return `, or run this as that user, who cannot use what root makes there (chown -R ${found.uid} undoes that)`
}

/**
 * Whether root does not pass a folder on the way that they may change. A group is only warned of: many a folder is given to one.
 * @param replacer who could lead the way elsewhere
 */
export function isRefusedOnWay({ gid }: Writer): boolean {
  return gid === undefined
}

interface FoundFolder {
  readonly path: string
  readonly found: Stats
}

/** Finds the folders above a path, and above what each symbolic link in it leads to, as far as they are there. */
async function foldersOnWay(path: string): Promise<FoundFolder[]> {
  const folders = new Map<string | undefined, FoundFolder>()
  try {
    const { folder } = await walkPath(path, {
      checkFolder: async held => {
        const found = await held.stat()
        folders.set(identityOf(found), { path: held.path, found })
      },
      checkLink: () => undefined,
      onlyLooks: true
    })
    await folder.close()
  } catch (error) {
    if (errorCode(error) === undefined) throw error // errors of the system are reported by the code that opens the path
  }
  return [...folders.values()]
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
function openness(
  folder: Stats,
  writers: readonly Writer[],
  user: number | undefined,
  groups: GroupTrust = ANY_GROUP
): [string, string] | undefined {
  const writer = findUntrusted(writers, folder, { uids: [user, unmappedRoot(user)], ...groups })
  if (writer === undefined) return undefined
  const { uid, gid } = writer
  if (uid !== undefined) return [`belongs to user ${uid}, who may change what is there`, `chown ${user ?? ROOT}`]
  if (gid !== undefined) return [`is open to group ${gid}, who may change what is there`, 'chmod g-w']
  const mend = isSticky(folder) ? 'choose another folder than' : 'chmod o-w' // one such as /tmp stays open
  return ['is open to every user of this machine, who may put files there', mend]
}
