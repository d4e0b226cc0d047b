import { whyNotRead } from '../../values/failures/file-failure.js'
import { withoutByteOrderMark } from '../../values/files/byte-order-mark.js'
import { readRegularFileSync } from '../../values/files/regular-file.js'

/** A small text file that the configuration names. @throws {Error} that names the setting and the file */
export function readTextFile(setting: string, file: string): string {
  try {
    return withoutByteOrderMark(readRegularFileSync(file).toString('utf8'))
  } catch (error) {
    throw new Error(`${setting} ${file} cannot be read: ${whyNotRead(error)}`, { cause: error })
  }
}
