import type { Stats } from 'node:fs'
import { kindOf } from '../../file-system/files/regular-file.js'
import { type ClientError, InputError } from '../../relay-client/client-error.js'

/**
 * The error for something that is no regular file, and that a file may not replace.
 * @param named the path, with the setting that names it where there is one
 */
export function notAFile(named: string, found: Stats): ClientError {
  const advice = found.isDirectory() ? 'name a file in it' : 'name a file'
  return new InputError(`${named} is ${kindOf(found)}; ${advice}`)
}
