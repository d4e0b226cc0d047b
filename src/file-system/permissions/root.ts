import { readFileSync } from 'node:fs'
import { CAN_HOLD } from '../folders/descriptors.js'

/** The user id of root, and the id of root's group. */
export const ROOT = 0

const PROC = '/proc/self'
/** All users, as where a process has no namespace of its own. */
const ALL_USERS_MAP = /^\s*0\s+0\s+4294967295\s*$/
/**
 * The users of a namespace in which a plain user is the only one, and root: that root has the rights of a plain user. Where the
 * only one is the real root, it has all rights over what is root's.
 */
const ONE_USER_MAP = /^\s*0\s+[1-9]\d*\s+1\s*$/

/** Whether this process is root's, with rights that other users lack. */
export function isPrivileged(euid = process.geteuid?.()): boolean {
  return euid === ROOT && CAN_HOLD && !isOnlyUser()
}

/**
 * Whether a user is root, on a system where root can hold the folders on the way to a file. Root of a namespace without
 * other users counts too, unlike for {@link isPrivileged}: to refuse a link of another user costs it no right.
 */
export function isRootOnLinux(euid = process.geteuid?.()): boolean {
  return euid === ROOT && process.platform === 'linux'
}

/** The id that stands for all users without a place in the namespace of this process; undefined where all have one. */
export function unmappedUser(): number | undefined {
  if (ALL_USERS_MAP.test(readFileSync(`${PROC}/uid_map`, 'utf8'))) return undefined
  return Number(readFileSync('/proc/sys/kernel/overflowuid', 'utf8'))
}

/**
 * The id that stands for the real root where a process is the root of a namespace without other users: to it `/` and what else
 * belongs to root seems to be another user's. Other users have that id, too, whom a plain user cannot keep out either.
 * @returns undefined for everybody else
 */
export function unmappedRoot(euid = process.geteuid?.()): number | undefined {
  return euid === ROOT && CAN_HOLD && isOnlyUser() ? unmappedUser() : undefined
}

function isOnlyUser(): boolean {
  return ONE_USER_MAP.test(readFileSync(`${PROC}/uid_map`, 'utf8'))
}
