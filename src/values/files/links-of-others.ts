import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  openSync,
  readlinkSync,
  type Stats,
  statSync
} from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { isRootOnLinux, ROOT } from '../permissions/root.js'
import { isReadable } from '../permissions/writers.js'

const { O_DIRECTORY, O_NOFOLLOW } = constants
/** Linux: a descriptor that only stands for a folder; no right to read it is needed. Node has no name for it. */
const O_PATH = 0o10000000
const MAX_SYMBOLIC_LINKS = 40
const DESCRIPTORS = '/proc/self/fd'

/** A symbolic link of another user, on the way to a file. */
interface ForeignLink {
  readonly at: string
  readonly uid: number
}

/** A folder on the way, open, so that what was looked at is what is used. */
interface Step {
  readonly fd: number
  /** The path at which it was found, for messages. */
  readonly path: string
}

/**
 * Opens a file as root without being led to one that is not meant: whoever owns a symbolic link on the way could read
 * the file without root's help. Other users, who have no rights to lend, open it as it is.
 * @param flags for reading @returns a descriptor, to be closed
 * @throws {Error} naming the link of another user; of the system when it cannot be opened
 */
export function openUnmisled(path: string, flags: number, euid = process.geteuid?.()): number {
  if (!isRootOnLinux(euid) || !existsSync(DESCRIPTORS)) return openSync(path, flags)
  let names = namesOf(isAbsolute(path) ? path : `${process.cwd()}/${path}`) // `..` is that of what a link leads to
  let folder: Step = { fd: openFolder('/'), path: '/' }
  const links: ForeignLink[] = []
  let followed = 0
  try {
    for (;;) {
      const [name = '.', ...rest] = names
      const [at, shown] = [`${DESCRIPTORS}/${folder.fd}/${name}`, join(folder.path, name)]
      const found = lstatSync(at)
      if (found.isSymbolicLink()) {
        followed += 1
        if (followed > MAX_SYMBOLIC_LINKS) throw Object.assign(new Error('too many symbolic links'), { code: 'ELOOP' })
        if (found.uid !== ROOT) links.push({ at: shown, uid: found.uid })
        // the kernel's own links to what a process has open have no path that could be walked
        if (rest.length === 0 && isOfKernel(found)) return checked(openSync(at, flags), path, links)
        const target = readlinkSync(at)
        names = [...namesOf(target), ...rest]
        if (isAbsolute(target)) folder = exchange(folder, '/', '/')
      } else if (rest.length === 0) {
        return checked(openSync(at, flags | O_NOFOLLOW), path, links, folder)
      } else {
        folder = exchange(folder, at, shown)
        const found = fstatSync(folder.fd)
        refuse(links, uid => isReadable(found, { uid }, 'folder'))
        names = rest
      }
    }
  } catch (error) {
    throw named(error, path)
  } finally {
    closeSync(folder.fd)
  }
}

/** Closes a file that it may not have been meant to open. */
function checked(fd: number, path: string, links: readonly ForeignLink[], folder?: Step): number {
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
function refuseFurtherName(found: Stats, folder: Step, path: string): void {
  const { uid } = fstatSync(folder.fd)
  if (uid === ROOT || found.nlink < 2 || isReadable(found, { uid }, 'file')) return
  throw new Error(
    `${path} is a further name of a file that user ${uid}, to whom the folder belongs, may not read: put a copy there, or run this as that user`
  )
}

function isOfKernel({ dev }: Stats): boolean {
  return dev === statSync('/proc').dev
}

function openFolder(path: string, flags = 0): number {
  return openSync(path, O_PATH | O_DIRECTORY | flags)
}

function exchange(former: Step, by: string, path: string): Step {
  const fd = openFolder(by, O_NOFOLLOW)
  closeSync(former.fd)
  return { fd, path }
}

/** An error of the system that names the file by the path that was given. */
function named(error: unknown, path: string): unknown {
  if (error instanceof Error && 'path' in error && typeof error.path === 'string') {
    error.message = error.message.replaceAll(error.path, path)
    error.path = path
  }
  return error
}

function namesOf(path: string): string[] {
  return path.split('/').filter(name => name !== '' && name !== '.')
}
