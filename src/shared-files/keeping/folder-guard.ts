import { lstatSync, realpathSync, type Stats, statSync } from 'node:fs'
import { relative } from 'node:path'
import { identityOf } from '../../file-system/files/file-identity.js'
import { foldersAbove } from '../../file-system/files/real-path.js'
import { CAN_HOLD, renameInError } from '../../file-system/folders/descriptors.js'
import { HeldFolderSync } from '../../file-system/folders/held-folder-sync.js'
import { makeOneFolder } from '../../file-system/folders/make-folder.js'
import { ROOT } from '../../file-system/permissions/root.js'
import { findUntrusted, replacersOf, type Writer, writerProblem } from '../../file-system/permissions/writers.js'
import { SHARED_FILES_MODE } from '../../storage/folders/folder-kinds.js'
import { RelayError } from '../../values/failures/relay-error.js'
import { errorCode, isMissing } from '../../values/failures/system-error.js'

/** Folders known to be nobody else's; forgotten all at once when there are too many. */
const MAX_CLOSED_FOLDERS = 20_000

/**
 * Keeps the relay in `shared_files.path`: whoever else may write there could have it write, and remove, elsewhere. No
 * symbolic link below it is followed, and root enters no folder there that others could replace.
 */
export class FolderGuard {
  readonly #closed = new Set<string>()
  readonly #identity: string
  readonly #usualMode: number

  /** @param root `shared_files.path`, which is there */
  constructor(
    private readonly root: string,
    private readonly euid = process.geteuid?.()
  ) {
    this.#identity = identityOf(statSync(root))
    this.#usualMode = euid === ROOT ? 0o755 : SHARED_FILES_MODE
  }

  /**
   * Does `work` with the path by which names in a folder are to be used.
   * @param folder `shared_files.path`, or one below it
   * @throws {RelayError} STORAGE_UNUSABLE that names what is not to be trusted
   * @throws {Error} ENOENT where the folder is not there, and all that `work` throws
   */
  async enter<T>(folder: string, work: (at: string) => Promise<T>): Promise<T> {
    if (this.#closed.has(folder)) return work(folder)
    const names = namesBelow(this.root, folder)
    if (!this.#isClosed(names)) return CAN_HOLD ? this.#enterHeld(folder, names, work) : work(folder)
    if (this.#closed.size >= MAX_CLOSED_FOLDERS) this.#closed.clear()
    this.#closed.add(folder)
    return work(folder)
  }

  /**
   * Makes a folder, and those above it, below `shared_files.path`. @returns whether any of them is new
   * @param mode of each that is made
   */
  async make(folder: string, mode = this.#usualMode): Promise<boolean> {
    const names = namesBelow(this.root, folder)
    for (const [index] of names.entries()) this.#closed.delete([this.root, ...names.slice(0, index + 1)].join('/'))
    if (await this.#isThere(folder)) return false
    let above = this.root
    for (const name of names) {
      await this.enter(above, at => makeOneFolder(`${at}/${name}`, mode))
      above = `${above}/${name}`
    }
    await this.enter(folder, async () => undefined)
    return true
  }

  /** Looks again at each folder that is entered from now on. */
  forget(): void {
    this.#closed.clear()
  }

  async #isThere(folder: string): Promise<boolean> {
    try {
      await this.enter(folder, async () => undefined)
      return true
    } catch (error) {
      if (isMissing(error)) return false
      throw error
    }
  }

  /** Whether nobody else can replace any folder on the way: then what was looked at stays what it is. */
  #isClosed(names: readonly string[]): boolean {
    const real = realpathSync(this.root)
    let isAlone = [real, ...foldersAbove(real)].every(each => this.#findReplacer(lstatSync(each)) === undefined)
    let path = this.root
    for (const name of names) {
      path = `${path}/${name}`
      const found = lstatSync(path)
      this.#judge(path, found)
      isAlone &&= this.#findReplacer(found) === undefined
    }
    return isAlone
  }

  /** Somebody else than this user and root who could put other things in the place of what is in a folder. */
  #findReplacer(folder: Stats): Writer | undefined {
    return findUntrusted(replacersOf(folder), folder, { uids: [this.euid] })
  }

  async #enterHeld<T>(folder: string, names: readonly string[], work: (at: string) => Promise<T>): Promise<T> {
    const held = this.#hold(names)
    try {
      return await work(held.base)
    } catch (error) {
      throw renameInError(error, held.base, folder)
    } finally {
      held.close()
    }
  }

  /** Opens a folder one name after the other, so that what is looked at is what is used. @returns to be closed */
  #hold(names: readonly string[]): HeldFolderSync {
    let held = HeldFolderSync.open(this.root)
    let path = this.root
    try {
      if (identityOf(held.stat()) !== this.#identity) throw failure('ENOENT', this.root)
      for (const name of names) {
        path = `${path}/${name}`
        const next = held.openFolder(name)
        held.close()
        held = next
        this.#judge(path, held.stat())
      }
      return held
    } catch (error) {
      held.close()
      throw error instanceof RelayError ? error : failure(errorCode(error) ?? '', path, error)
    }
  }

  /** @throws {RelayError} where `found`, below `shared_files.path`, is not to be entered */
  #judge(path: string, found: Stats): void {
    if (found.isSymbolicLink())
      throw this.#refused(path, 'is a symbolic link, and has to be a folder: remove the link, or move the folder back')
    if (!found.isDirectory()) throw failure('ENOTDIR', path)
    const replacer = this.euid === ROOT ? this.#findReplacer(found) : undefined
    if (replacer === undefined) return
    const why = `${writerProblem(replacer)}, who could lead a relay of root's elsewhere; chown root and chmod go-w what is root's`
    throw this.#refused(path, why)
  }

  #refused(path: string, why: string): RelayError {
    return new RelayError('STORAGE_UNUSABLE', `shared_files.path (${this.root}): ${path} ${why}`)
  }
}

function namesBelow(root: string, folder: string): string[] {
  return relative(root, folder)
    .split('/')
    .filter(name => name !== '')
}

/** The error with which a system call would fail. */
function failure(code: string, path: string, cause?: unknown): Error {
  return Object.assign(new Error(`${code}: ${path}`, { cause }), { code, path, syscall: 'open' })
}
