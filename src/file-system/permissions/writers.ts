import { constants, type Stats } from 'node:fs'
import { ROOT } from './root.js'

const { S_IRGRP, S_IROTH, S_IWGRP, S_IWOTH, S_IXGRP, S_IXOTH } = constants
/** The sticky bit. Node has no name for it. */
const STICKY = 0o1000

/** The members of a file or folder in which permissions are. */
export type Permissions = Pick<Stats, 'uid' | 'gid' | 'mode'>

/** A user, the members of a group, or everyone (with neither number). Never root, who may change everything. */
export interface Writer {
  readonly uid?: number
  readonly gid?: number
}

/** The writer that stands for every user. */
export const EVERYONE: Writer = {}

/** The writers that are trusted besides root. */
export interface TrustedWriters {
  /** The users whose files and folders these may be; undefined stands for nobody. */
  readonly uids: readonly (number | undefined)[]
  /** The groups that may write. Root's group is none of them unless it is named. */
  readonly gids?: readonly (number | undefined)[]
  /**
   * Whether trusted users may have let a group write in folders of their own. In root's folders no group is trusted by
   * that: the bits of the group may stand for the users of an access control list.
   */
  readonly groupsOfOwners?: boolean
}

/**
 * Finds who may write to a file, or make files in a folder, besides root:
 * - its owner, whatever the mode, which an owner can change;
 * - everyone, and then its group, by their write bits. A group has members even where it is root's: its bits may stand for the
 *   users of an access control list.
 *
 * The sticky bit does not count: it keeps nobody from making a file.
 */
export function writersOf({ uid, gid, mode }: Permissions): Writer[] {
  return [
    ...(uid === ROOT ? [] : [{ uid }]),
    ...((mode & S_IWOTH) === 0 ? [] : [EVERYONE]),
    ...((mode & S_IWGRP) === 0 ? [] : [{ gid }])
  ]
}

/**
 * Finds who may remove or rename what others have in a folder, and put something else in its place, besides root:
 * as {@link writersOf}, but for a sticky folder (such as /tmp) the owner alone. There, others can replace only what is
 * theirs; the owner of an entry has to be looked at as well.
 */
export function replacersOf(folder: Permissions): Writer[] {
  const writers = writersOf(folder)
  return isSticky(folder) ? writers.filter(({ uid }) => uid !== undefined) : writers
}

/** Whether others can make files in a folder, but remove and rename only their own. */
export function isSticky({ mode }: Pick<Stats, 'mode'>): boolean {
  return (mode & STICKY) !== 0
}

/** @param writers of `stats` @returns the first of them that is not trusted; undefined where all are */
export function findUntrusted(
  writers: readonly Writer[],
  stats: Permissions,
  trust: TrustedWriters
): Writer | undefined {
  const trustsGroup = trust.groupsOfOwners === true && stats.uid !== ROOT
  return writers.find(({ uid, gid }) => {
    if (uid !== undefined) return !trust.uids.includes(uid)
    return gid === undefined || !(trustsGroup || trust.gids?.includes(gid) === true)
  })
}

/** Whether a user is root, or one of those trusted: links of others, for one, are not followed. */
export function isOfRootOr(uid: number, ...trusted: readonly (number | undefined)[]): boolean {
  return uid === ROOT || trusted.includes(uid)
}

/** The writer as a message says it: "user 65534". */
export function writerName({ uid, gid }: Writer): string {
  return uid !== undefined ? `user ${uid}` : gid !== undefined ? `group ${gid}` : 'everyone'
}

/** The problem with a file or folder that somebody may change, for a message: "belongs to user 65534", "may be written in by everyone". */
export function writerProblem(writer: Writer): string {
  return `${writer.uid === undefined ? 'may be written in by' : 'belongs to'} ${writerName(writer)}`
}

/**
 * Whether somebody may read a file, or enter a folder, without help of root's. An owner may, who can change the mode.
 * @param groupsOf the groups of a user; by default none are known, and only bits for everyone count
 */
export function isReadable(
  { uid, gid, mode }: Permissions,
  by: Writer,
  what: 'file' | 'folder',
  groupsOf: (uid: number) => readonly number[] = () => []
): boolean {
  const [byGroup, byOthers] = what === 'file' ? [S_IRGRP, S_IROTH] : [S_IXGRP, S_IXOTH]
  if ((mode & byOthers) !== 0) return true
  if (by.uid !== undefined && by.uid === uid) return true
  if ((mode & byGroup) === 0) return false
  return by.gid === gid || (by.uid !== undefined && groupsOf(by.uid).includes(gid))
}
