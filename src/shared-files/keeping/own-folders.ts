import { makeFolder } from '../../file-system/folders/make-folder.js'
import { rememberPlace } from '../../file-system/folders/same-place.js'
import { SHARED_FILES_MODE } from '../../storage/folders/folder-kinds.js'
import { asDiskFailure, vanished } from '../../values/failures/disk-failure.js'
import { isMissing } from '../../values/failures/system-error.js'
import type { FileLayout } from './file-layout.js'
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

/**
 * Checks what is in the place of the folders of the relay's own below `shared_files.path`, which the start makes where they
 * are not there.
 * @param euid the user that the relay runs as
 * @throws {Error} as the start does
 */
export async function checkOwnFolders({ root, incoming, outbox }: FileLayout, euid: number | undefined): Promise<void> {
  for (const folder of [incoming, outbox]) {
    try {
      await new FolderGuard(root, euid).enter(folder, async () => undefined)
    } catch (error) {
      if (!isMissing(error)) throw asDiskFailure(error, [{ setting: 'shared_files.path', path: root }])
    }
  }
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
