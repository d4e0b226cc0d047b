import { whyUnreadable } from '../../values/failures/file-failure.js'
import { withoutByteOrderMark } from './byte-order-mark.js'
import { readFileOrPipe, readRegularFile, readRegularFileSync } from './regular-file.js'

/** Reads a text file as `readRegularFile` does, without its byte order mark. @throws {Error} as that does, or in UTF-16 */
export async function readTextFile(path: string): Promise<string> {
  return textOf(await readRegularFile(path))
}

/** Reads a text file as {@link readTextFile} does, or a pipe to its end. */
export async function readTextFileOrPipe(path: string): Promise<string> {
  return textOf(await readFileOrPipe(path))
}

/** Reads a text file as {@link readTextFile} does, synchronously. */
export function readTextFileSync(path: string): string {
  return textOf(readRegularFileSync(path))
}

/** Reads a text file that a setting names. @throws {Error} that names the setting, the file, and what to do */
export async function readConfiguredText(setting: string, path: string): Promise<string> {
  try {
    return await readTextFile(path)
  } catch (error) {
    throw new Error(whyUnreadable(setting, path, error), { cause: error })
  }
}

/** Reads a text file as {@link readConfiguredText} does, synchronously. */
export function readConfiguredTextSync(setting: string, path: string): string {
  try {
    return readTextFileSync(path)
  } catch (error) {
    throw new Error(whyUnreadable(setting, path, error), { cause: error })
  }
}

function textOf(bytes: Buffer): string {
  return withoutByteOrderMark(bytes.toString('utf8'))
}
