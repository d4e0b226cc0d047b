import { constants, type Stats } from 'node:fs'

const { S_IWGRP, S_IWOTH } = constants
/**
 * The sticky bit of a folder: only the owner of a file in it, and the folder's, can rename or remove that. Node has
 * no name for it.
 */
export const STICKY = 0o1000
const ROOT = 0

/**
 * The others, besides a user and root, who can remove or replace the content of a folder. A user other than root has
 * given the folder to its group themselves; a group of root's folder may stand for the users of an access control
 * list.
 * @returns as a message says it of the folder; undefined where nobody can
 */
export function whoElseMayChange(
  { uid, gid, mode }: Pick<Stats, 'uid' | 'gid' | 'mode'>,
  euid: number | undefined
): string | undefined {
  if (uid !== ROOT && uid !== euid) return `belongs to user ${uid}`
  if ((mode & STICKY) !== 0) return undefined
  if ((mode & S_IWOTH) !== 0) return 'may be written in by everyone'
  return euid === ROOT && (mode & S_IWGRP) !== 0 ? `may be written in by group ${gid}` : undefined
}
