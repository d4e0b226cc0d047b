import { makeSubfolder } from '../../storage/folders/make-subfolder.js'
import { rememberPlace } from '../../storage/folders/same-place.js'
import { vanished } from '../../values/failures/disk-failure.js'
import { makeFolder } from '../../values/files/make-folder.js'
import { isMissing } from './storage-errors.js'

/**
 * Folders of the relay's own that somebody removes while it runs. Those within `shared_files.path` are made again; that
 * one itself never is: its disk may be unmounted, and what is stored below it then would be gone once it is back.
 */
export interface OwnFolders {
  /** @throws {RelayError} STORAGE_UNUSABLE when `shared_files.path` is not the folder any more that it was at the start */
  check(): void
  /** Does `work`; where that finds no such file or folder, it makes `folder` if it is missing, and does it once more. */
  within<T>(folder: string, work: () => Promise<T>): Promise<T>
}

/** @param root `shared_files.path`, made now if it is missing */
export function createOwnFolders(root: string, syncFolder: (folder: string) => Promise<void>): OwnFolders {
  makeFolder(root, 0o777)
  const isSame = rememberPlace(root)

  function check(): void {
    if (!isSame()) throw vanished(root, { setting: 'shared_files.path', path: root })
  }

  async function makeAgain(folder: string): Promise<void> {
    check()
    await makeSubfolder(folder)
    await syncFolder(root)
  }

  return {
    check,
    async within(folder, work) {
      try {
        return await work()
      } catch (error) {
        if (!isMissing(error)) throw error
        await makeAgain(folder)
        return await work()
      }
    }
  }
}
