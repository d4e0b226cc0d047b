import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  openSync,
  realpathSync,
  type Stats,
  statSync
} from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { dirname, relative } from 'node:path'
import { RelayError } from '../../values/failures/relay-error.js'
import { errorCode, isMissing } from '../../values/failures/system-error.js'
import { whoElseMayChange } from '../../values/files/closed-folder.js'

/** Linux: a descriptor that only stands for what it was opened on; no right to read is needed. Node has no name for it. */
const O_PATH = 0o10000000
const { O_DIRECTORY, O_NOFOLLOW } = constants
const ROOT = 0
const DESCRIPTORS = '/proc/self/fd'

/** Folders known to be nobody else's; forgotten all at once when there are too many. */
const MAX_CLOSED_FOLDERS = 20_000

/**
 * Keeps the relay in `shared_files.path`: whoever else may write there could have it write, and remove, elsewhere. No
 * symbolic link below it is followed, and root enters no folder there that others could replace.
 */
export interface FolderGuard {
  /**
   * Does `work` with the path by which names in a folder are to be used.
   * @param folder `shared_files.path`, or one below it
   * @throws {RelayError} STORAGE_UNUSABLE that names what is not to be trusted
   * @throws {Error} ENOENT where the folder is not there, and all that `work` throws
   */
  enter<T>(folder: string, work: (at: string) => Promise<T>): Promise<T>
  /**
   * Makes a folder, and those above it, below `shared_files.path`. @returns whether any of them is new
   * @param mode of each that is made
   */
  make(folder: string, mode?: number): Promise<boolean>
  /** Looks again at each folder that is entered from now on. */
  forget(): void
}

/** @param root `shared_files.path`, which is there */
export function createFolderGuard(root: string, euid = process.geteuid?.()): FolderGuard {
  const closed = new Set<string>()
  const identity = identityOf(statSync(root))
  const canHold = process.platform === 'linux' && existsSync(DESCRIPTORS)
  const usualMode = euid === ROOT ? 0o755 : 0o777

  /** @throws {RelayError} where `found`, below `shared_files.path`, is not to be entered */
  function judge(path: string, found: Stats): void {
    if (found.isSymbolicLink())
      throw refused(path, 'is a symbolic link, and has to be a folder: remove the link, or move the folder back')
    if (!found.isDirectory()) throw failure('ENOTDIR', path)
    const who = euid === ROOT ? whoElseMayChange(found, euid) : undefined
    if (who === undefined) return
    throw refused(path, `${who}, who could lead a relay of root's elsewhere; chown root and chmod go-w what is root's`)
  }

  function refused(path: string, why: string): RelayError {
    return new RelayError('STORAGE_UNUSABLE', `shared_files.path (${root}): ${path} ${why}`)
  }

  /** Whether nobody else can replace any folder on the way: then what was looked at stays what it is. */
  function isClosed(names: readonly string[]): boolean {
    let isAlone = isAloneAbove(realpathSync(root))
    let path = root
    for (const name of names) {
      path = `${path}/${name}`
      const found = lstatSync(path)
      judge(path, found)
      isAlone &&= whoElseMayChange(found, euid) === undefined
    }
    return isAlone
  }

  function isAloneAbove(path: string): boolean {
    if (whoElseMayChange(lstatSync(path), euid) !== undefined) return false
    return path === dirname(path) || isAloneAbove(dirname(path))
  }

  /** Opens a folder one name after the other, so that what is looked at is what is used. @returns to be closed */
  function hold(names: readonly string[]): number {
    let fd = openSync(root, O_PATH | O_DIRECTORY)
    let path = root
    try {
      if (identityOf(fstatSync(fd)) !== identity) throw failure('ENOENT', root)
      for (const name of names) {
        path = `${path}/${name}`
        const next = openSync(`${DESCRIPTORS}/${fd}/${name}`, O_PATH | O_DIRECTORY | O_NOFOLLOW)
        closeSync(fd)
        fd = next
        judge(path, fstatSync(fd))
      }
      return fd
    } catch (error) {
      closeSync(fd)
      throw error instanceof RelayError ? error : failure(errorCode(error) ?? '', path, error)
    }
  }

  async function enterHeld<T>(folder: string, names: readonly string[], work: (at: string) => Promise<T>): Promise<T> {
    const fd = hold(names)
    const at = `${DESCRIPTORS}/${fd}`
    try {
      return await work(at)
    } catch (error) {
      throw withPath(error, at, folder)
    } finally {
      closeSync(fd)
    }
  }

  async function enter<T>(folder: string, work: (at: string) => Promise<T>): Promise<T> {
    if (closed.has(folder)) return work(folder)
    const names = namesBelow(root, folder)
    if (!isClosed(names)) return canHold ? enterHeld(folder, names, work) : work(folder)
    if (closed.size >= MAX_CLOSED_FOLDERS) closed.clear()
    closed.add(folder)
    return work(folder)
  }

  async function isThere(folder: string): Promise<boolean> {
    try {
      await enter(folder, async () => undefined)
      return true
    } catch (error) {
      if (isMissing(error)) return false
      throw error
    }
  }

  return {
    enter,
    async make(folder, mode = usualMode) {
      const names = namesBelow(root, folder)
      for (const [index] of names.entries()) closed.delete([root, ...names.slice(0, index + 1)].join('/'))
      if (await isThere(folder)) return false
      let above = root
      for (const name of names) {
        await enter(above, at => makeOne(`${at}/${name}`, mode))
        above = `${above}/${name}`
      }
      await enter(folder, async () => undefined)
      return true
    },
    forget: () => closed.clear()
  }
}

function namesBelow(root: string, folder: string): string[] {
  return relative(root, folder)
    .split('/')
    .filter(name => name !== '')
}

async function makeOne(path: string, mode: number): Promise<void> {
  await mkdir(path, mode).catch((error: unknown) => {
    if (errorCode(error) !== 'EEXIST') throw error
  })
}

function identityOf({ dev, ino }: Stats): string {
  return `${dev}:${ino}`
}

/** As a system call fails. */
function failure(code: string, path: string, cause?: unknown): Error {
  return Object.assign(new Error(`${code}: ${path}`, { cause }), { code, path, syscall: 'open' })
}

/** An error that names the folder by its path, not by the descriptor that it was used by. */
function withPath(error: unknown, at: string, folder: string): unknown {
  if (!(error instanceof Error)) return error
  for (const member of ['path', 'dest', 'message']) {
    const text: unknown = Object.getOwnPropertyDescriptor(error, member)?.value
    if (typeof text === 'string') Object.assign(error, { [member]: text.replace(`${at}/`, `${folder}/`) })
  }
  return error
}
