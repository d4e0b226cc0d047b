import { withoutByteOrderMark } from '../../file-system/files/byte-order-mark.js'
import { readTextFileOrPipe } from '../../file-system/files/text-file.js'
import { ClientError, InputError } from '../../relay-client/client-error.js'
import { whyUnreadable } from '../../values/failures/file-failure.js'
import { readNamedText } from './regular-file-place.js'

/**
 * A small text file that an option names, without a byte order mark. A pipe is as good: a shell names one for `<(…)`.
 * @throws {InputError} when it cannot be read
 */
export async function readNamedFile(name: string, path: string): Promise<string> {
  try {
    return await readTextFileOrPipe(path)
  } catch (error) {
    throw new InputError(whyUnreadable(name, path, error), { cause: error })
  }
}

/** Reads a file that a configuration names, as {@link readNamedFile} does: a regular one. @throws {InputError} */
export async function readConfiguredFile(setting: string, path: string): Promise<string> {
  try {
    return withoutByteOrderMark(await readNamedText(path, `${setting} ${path}`))
  } catch (error) {
    if (error instanceof ClientError) throw error
    throw new InputError(whyUnreadable(setting, path, error), { cause: error })
  }
}
