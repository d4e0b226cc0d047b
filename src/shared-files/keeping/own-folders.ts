import { makeFolder } from '../../file-system/folders/make-folder.js'
import { rememberPlace } from '../../file-system/folders/same-place.js'
import { SHARED_FILES_MODE } from '../../storage/folders/folder-kinds.js'
import { vanished } from '../../values/failures/disk-failure.js'
import { isMissing } from '../../values/failures/system-error.js'
import { FolderGuard } from './folder-guard.js'

/**
 * Folders of the relay's own that somebody removes while it runs. Folders within `shared_files.path` are made again;
 * that one itself never is: its disk may be unmounted, and files stored below it then would be gone once it is back.
 */
export interface OwnFolders extends Pick<FolderGuard, 'enter' | 'make' | 'forget'> {
  /** @throws {RelayError} STORAGE_UNUSABLE when `shared_files.path` is not the folder any more that it was at the start */
  check(): void
  /**
   * Works in a folder as `enter` does; where the folder is missing, or `work` finds no such file or folder, it is
   * made, and all is done once more.
   */
  within<T>(folder: string, work: (at: string) => Promise<T>): Promise<T>
}

/** @param root `shared_files.path`, made now if it is missing */
export function createOwnFolders(root: string, syncFolder: (folder: string) => Promise<void>): OwnFolders {
  makeFolder(root, SHARED_FILES_MODE)
  const isSame = rememberPlace(root)
  const guard = new FolderGuard(root)

  function check(): void {
    if (!isSame()) throw vanished(root, { setting: 'shared_files.path', path: root })
  }

  async function make(folder: string, mode?: number): Promise<boolean> {
    check()
    return guard.make(folder, mode)
  }

  return {
    enter: (folder, work) => guard.enter(folder, work),
    forget: () => guard.forget(),
    check,
    make,
    async within(folder, work) {
      try {
        return await guard.enter(folder, work)
      } catch (error) {
        if (!isMissing(error)) throw error
        await make(folder)
        await syncFolder(root)
        return await guard.enter(folder, work)
      }
    }
  }
}
