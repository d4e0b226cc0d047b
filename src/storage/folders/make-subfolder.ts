import { lstat } from 'node:fs/promises'
import { RelayError } from '../../values/failures/relay-error.js'
import { makeOneFolder } from '../../values/folders/make-folder.js'
import { isOfRootOr } from '../../values/permissions/writers.js'

/**
 * Makes a folder of the relay's own where it is missing, and never the one above it, which the configuration names: when
 * that is not there its disk may not be mounted, and what is stored now would be gone once it is.
 * @throws ENOENT when the folder above is missing
 * @throws {RelayError} STORAGE_UNUSABLE when another user has put a link there
 */
export async function makeSubfolder(path: string, mode = 0o750, euid = process.geteuid?.()): Promise<void> {
  await makeOneFolder(path, mode)
  const found = await lstat(path)
  if (!found.isSymbolicLink() || isOfRootOr(found.uid, euid)) return
  throw new RelayError(
    'STORAGE_UNUSABLE',
    `${path} is a symbolic link of user ${found.uid}, and is not followed; remove it`
  )
}
