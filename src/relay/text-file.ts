import { readFileSync } from 'node:fs'
import { withoutByteOrderMark } from '../values/byte-order-mark.js'
import { whyNotRead } from '../values/file-failure.js'

/** A small text file that the configuration names. @throws {Error} that names the setting and the file */
export function readTextFile(setting: string, file: string): string {
  try {
    return withoutByteOrderMark(readFileSync(file, 'utf8'))
  } catch (error) {
    throw new Error(`${setting} ${file} cannot be read: ${whyNotRead(error)}`, { cause: error })
  }
}
