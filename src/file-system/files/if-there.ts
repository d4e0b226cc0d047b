import type { Stats } from 'node:fs'
import { lstat } from 'node:fs/promises'
import { errorCode, isMissing } from '../../values/failures/system-error.js'

/** @returns what was found, or undefined where there is nothing */
export async function ifThere(found: Promise<Stats>): Promise<Stats | undefined> {
  try {
    return await found
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errorCode(error) ?? '')) return undefined
    throw error
  }
}

/**
 * Finds the entry of a path, whatever it is: itself, and not what a symbolic link leads to.
 * @returns undefined where there is none of that name in its folder
 */
export async function findItself(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path)
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}
