import { existsSync, readFileSync } from 'node:fs'

/** The user id of root, and the id of root's group. */
export const ROOT = 0

const PROC = '/proc/self'
/** The users of a namespace in which there is only one: root there has the rights of a plain user. */
const ONE_USER_MAP = /^\s*0\s+\d+\s+1\s*$/

/** Whether this process is root's, with rights that other users lack. */
export function isPrivileged(euid = process.geteuid?.()): boolean {
  return euid === ROOT && process.platform === 'linux' && existsSync(`${PROC}/fd`) && !isOnlyUser()
}

/**
 * Whether a user is root, on a system where root can hold the folders on the way to a file. Root of a namespace without
 * other users counts too, unlike for {@link isPrivileged}: to refuse a link of another user costs it no right.
 */
export function isRootOnLinux(euid = process.geteuid?.()): boolean {
  return euid === ROOT && process.platform === 'linux'
}

function isOnlyUser(): boolean {
  return ONE_USER_MAP.test(readFileSync(`${PROC}/uid_map`, 'utf8'))
}
