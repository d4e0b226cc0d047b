import type { Stats } from 'node:fs'
import { lstat } from 'node:fs/promises'
import { isSameFile } from '../../file-system/files/file-identity.js'
import { HeldFolder } from '../../file-system/folders/held-folder.js'
import { makeOneFolder, obstacleTo } from '../../file-system/folders/make-folder.js'
import { isOfRootOr } from '../../file-system/permissions/writers.js'
import { RelayError } from '../../values/failures/relay-error.js'

/**
 * Makes a folder of the relay's own where it is missing, and never the one above it, which the configuration names: when
 * that is not there its disk may not be mounted, and what is stored now would be gone once it is.
 * @throws ENOENT when the folder above is missing
 * @throws {RelayError} STORAGE_UNUSABLE when another user has put a link there
 */
export async function makeSubfolder(path: string, mode = 0o750, euid = process.geteuid?.()): Promise<void> {
  await makeOneFolder(path, mode)
  refuseOthersLink(path, await lstat(path), euid)
}

/**
 * Holds a folder that {@link makeSubfolder} made, as what is made in it must not be made elsewhere: a group may have the
 * right to write in the one above, and exchange it while the relay runs. To be closed.
 * @throws ENOENT when it is missing
 * @throws {RelayError} STORAGE_UNUSABLE when another user has put a link there
 */
export async function holdSubfolder(path: string, euid = process.geteuid?.()): Promise<HeldFolder> {
  const held = await HeldFolder.open(path)
  try {
    const found = await lstat(path)
    refuseOthersLink(path, found, euid)
    if (found.isSymbolicLink() || isSameFile(found, await held.stat())) return held
    throw new RelayError('STORAGE_UNUSABLE', `another folder has taken the place of ${path} just now; try again`)
  } catch (error) {
    await held.close()
    throw error
  }
}

/** Checks that a folder of the relay's own is one, or can be made. @throws {Error} that names what is in its place */
export function checkSubfolder(path: string): void {
  const obstacle = obstacleTo(path)
  if (obstacle !== undefined) throw new Error(`${obstacle}; move it away`)
}

function refuseOthersLink(path: string, found: Stats, euid: number | undefined): void {
  if (!found.isSymbolicLink() || isOfRootOr(found.uid, euid)) return
  throw new RelayError(
    'STORAGE_UNUSABLE',
    `${path} is a symbolic link of user ${found.uid}, and is not followed; remove it`
  )
}
