import { execFileSync } from 'node:child_process'
import { constants, existsSync, readFileSync, realpathSync, type Stats, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { STICKY } from '../folders/closed-folder.js'

const { S_IRGRP, S_IROTH, S_IWGRP, S_IWOTH, S_IXGRP, S_IXOTH } = constants
const ROOT = 0
const PROC = '/proc/self'
/** How long the system may take to name a user's groups: it may ask a directory over the network, and all else waits. */
const GROUPS_LIMIT_MS = 2_000
/** The users of a namespace in which there is only one: root there has the rights of a plain user. */
const ONE_USER_MAP = /^\s*0\s+\d+\s+1\s*$/

/** A user, the members of a group, or everyone (with neither number), who may change a file besides root. */
export interface FileWriter {
  readonly uid?: number
  readonly gid?: number
  /** The file, or the folder on the way to it, that they may change. */
  readonly path: string
}

/** The groups of users, each looked up once. To be dropped soon: they may change. */
export class UserGroups {
  readonly #byUid = new Map<number, readonly number[]>()

  /** @param find by default what the system says, for which it is waited */
  constructor(private readonly find: (uid: number) => readonly number[] = groupsOf) {}

  of(uid: number): readonly number[] {
    const groups = this.#byUid.get(uid) ?? this.find(uid)
    this.#byUid.set(uid, groups)
    return groups
  }
}

/** Whether this process is root's, with rights that other users lack. */
export function isPrivileged(euid = process.geteuid?.()): boolean {
  return euid === ROOT && process.platform === 'linux' && existsSync(`${PROC}/fd`) && !isOnlyUser()
}

/** Finds those who may write a file, or put another one in its place, besides root. None for what is not there. */
export function writersOf(path: string): FileWriter[] {
  const real = realPath(path)
  if (real === undefined) return []
  return waysTo(real).flatMap(each => {
    const { uid, gid, mode } = statSync(each)
    const writers: FileWriter[] = uid === ROOT ? [] : [{ uid, path: each }]
    if (each !== real && (mode & STICKY) !== 0) return writers // others cannot replace what is in it
    if ((mode & S_IWGRP) !== 0) writers.push({ gid, path: each })
    if ((mode & S_IWOTH) !== 0) writers.push({ path: each })
    return writers
  })
}

/**
 * Finds one of the writers of a file who may not read another one that it names.
 * @returns undefined where all may, or where there is none of that path
 */
export function findExcluded(
  path: string,
  writers: readonly FileWriter[],
  groups = new UserGroups()
): FileWriter | undefined {
  const real = writers.length === 0 ? undefined : realPath(path)
  if (real === undefined) return undefined
  const ways = waysTo(real).map(each => statSync(each))
  return writers.find(
    writer => !ways.every((found, at) => mayUse(writer, groups, found, at === 0 && !found.isDirectory()))
  )
}

/** The writer as a message says it: "user 65534". */
export function writerName({ uid, gid }: FileWriter): string {
  return uid !== undefined ? `user ${uid}` : gid !== undefined ? `group ${gid}` : 'everyone'
}

/** @param isFile read; a folder is entered */
function mayUse(writer: FileWriter, groups: UserGroups, { uid, gid, mode }: Stats, isFile: boolean): boolean {
  const [byGroup, byOthers] = isFile ? [S_IRGRP, S_IROTH] : [S_IXGRP, S_IXOTH]
  if ((mode & byOthers) !== 0) return true
  if (writer.uid !== undefined && writer.uid === uid) return true // an owner can change the mode
  if ((mode & byGroup) === 0) return false
  return writer.gid === gid || (writer.uid !== undefined && groups.of(writer.uid).includes(gid))
}

function groupsOf(uid: number): number[] {
  try {
    const limits = { timeout: GROUPS_LIMIT_MS, killSignal: 'SIGKILL' } as const
    const text = execFileSync('id', ['-G', String(uid)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      ...limits
    })
    return text.trim().split(' ').map(Number)
  } catch {
    return [] // a user that the system does not know, or not in time, is in no group
  }
}

/** A path and all folders on the way to it. */
function waysTo(real: string): string[] {
  const folder = dirname(real)
  return folder === real ? [real] : [real, ...waysTo(folder)]
}

function realPath(path: string): string | undefined {
  try {
    return realpathSync(path)
  } catch {
    return undefined // whoever reads it meets the same error
  }
}

function isOnlyUser(): boolean {
  return ONE_USER_MAP.test(readFileSync(`${PROC}/uid_map`, 'utf8'))
}
