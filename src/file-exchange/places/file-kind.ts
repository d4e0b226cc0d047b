import type { Stats } from 'node:fs'
import { type ClientError, InputError } from '../../relay-client/client-error.js'

/**
 * What is there is no regular file, and nothing that a file may take the place of.
 * @param named the path, with the setting that names it where there is one
 */
export function notAFile(named: string, found: Stats): ClientError {
  const advice = found.isDirectory() ? 'name a file in it' : 'name a file'
  return new InputError(`${named} is ${kindOf(found)}; ${advice}`)
}

/** As a message says it. */
export function kindOf(stats: Stats): string {
  if (stats.isDirectory()) return 'a folder'
  if (stats.isFIFO()) return 'a FIFO'
  if (stats.isSocket()) return 'a socket'
  if (stats.isSymbolicLink()) return 'a symbolic link'
  return stats.isFile() ? 'a file' : 'a device'
}
