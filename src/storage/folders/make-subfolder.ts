import { mkdir } from 'node:fs/promises'
import { errorCode } from '../../values/failures/system-error.js'

/**
 * Makes a folder of the relay's own where it is missing, and never the one above it, which the configuration names: when
 * that is not there its disk may not be mounted, and what is stored now would be gone once it is.
 * @throws ENOENT when the folder above is missing
 */
export async function makeSubfolder(path: string, mode = 0o777): Promise<void> {
  await mkdir(path, mode).catch((error: unknown) => {
    if (errorCode(error) !== 'EEXIST') throw error
  })
}
