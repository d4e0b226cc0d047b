import type { Stats } from 'node:fs'
import { errorCode } from '../failures/system-error.js'

/** @returns what was found, or undefined where there is nothing */
export async function ifThere(found: Promise<Stats>): Promise<Stats | undefined> {
  try {
    return await found
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errorCode(error) ?? '')) return undefined
    throw error
  }
}
