import { closeSync, constants, fstatSync, openSync, type Stats, statSync } from 'node:fs'
import { isAbsolute } from 'node:path'
import { CAN_HOLD } from '../folders/descriptors.js'
import type { HeldFolderSync } from '../folders/held-folder-sync.js'
import { walkPathSync } from '../folders/path-walk-sync.js'
import { isRootOnLinux, ROOT } from '../permissions/root.js'
import { isReadable } from '../permissions/writers.js'

const { O_NOFOLLOW } = constants

/** A symbolic link of another user, on the way to a file. */
interface ForeignLink {
  readonly at: string
  readonly uid: number
}

/**
 * Opens a file as root without being led to one that is not meant: whoever owns a symbolic link on the way could read
 * the file without root's help. Other users, who have no rights to lend, open it as it is.
 * @param flags for reading @returns a descriptor, to be closed
 * @throws {Error} naming the link of another user; of the system when it cannot be opened
 */
export function openUnmisled(path: string, flags: number, euid = process.geteuid?.()): number {
  if (!isRootOnLinux(euid) || !CAN_HOLD) return openSync(path, flags)
  const links: ForeignLink[] = []
  try {
    // `..` is that of what a link leads to
    const { folder, name, found } = walkPathSync(isAbsolute(path) ? path : `${process.cwd()}/${path}`, {
      checkFolder: folder => refuse(links, uid => isReadable(folder, { uid }, 'folder')),
      checkLink: (at, { uid }) => {
        if (uid !== ROOT) links.push({ at, uid })
      },
      isEnd: isOfKernel
    })
    try {
      if (found.isSymbolicLink()) return checked(openSync(folder.at(name), flags), path, links)
      return checked(openSync(folder.at(name), flags | O_NOFOLLOW), path, links, folder)
    } finally {
      folder.close()
    }
  } catch (error) {
    throw named(error, path)
  }
}

/** Closes a file that it may not have been meant to open. */
function checked(fd: number, path: string, links: readonly ForeignLink[], folder?: HeldFolderSync): number {
  try {
    const found = fstatSync(fd)
    refuse(links, uid => isReadable(found, { uid }, 'file'))
    if (folder !== undefined) refuseFurtherName(found, folder, path)
    return fd
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

function refuse(links: readonly ForeignLink[], isOpenTo: (uid: number) => boolean): void {
  const link = links.find(({ uid }) => !isOpenTo(uid))
  if (link === undefined) return
  const { at, uid } = link
  throw new Error(
    `${at} is a symbolic link of user ${uid}, and leads to a file that is neither theirs nor readable by everyone: root does not follow it. Put the file itself there, let root own the link (chown -h root ${at}), or run this as that user`
  )
}

/** Refuses a further name (hard link) that another user made of a file that they may not read, where the system lets them. */
function refuseFurtherName(found: Stats, folder: HeldFolderSync, path: string): void {
  const { uid } = folder.stat()
  if (uid === ROOT || found.nlink < 2 || isReadable(found, { uid }, 'file')) return
  throw new Error(
    `${path} is a further name of a file that user ${uid}, to whom the folder belongs, may not read: put a copy there, or run this as that user`
  )
}

/** Whether it is one of the kernel's own links to what a process has open: they have no path that could be walked. */
function isOfKernel({ dev }: Stats): boolean {
  return dev === statSync('/proc').dev
}

/** An error of the system that names the file by the path that was given. */
function named(error: unknown, path: string): unknown {
  if (error instanceof Error && 'path' in error && typeof error.path === 'string') {
    error.message = error.message.replaceAll(error.path, path)
    error.path = path
  }
  return error
}
