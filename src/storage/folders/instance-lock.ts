import { chmodSync, closeSync, lstatSync, openSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Database } from 'better-sqlite3'
import { kindOf } from '../../file-system/files/regular-file.js'
import { makeFolder } from '../../file-system/folders/make-folder.js'
import { asDiskFailure } from '../../values/failures/disk-failure.js'
import { isDamage, storageFailureKind } from '../../values/failures/storage-failure.js'
import { asError, errorCode } from '../../values/failures/system-error.js'
import { schemaVersionOf } from '../sqlite-engine/database-header.js'
import { Sqlite } from '../sqlite-engine/sqlite-driver.js'
import type { OwnFolder } from './folder-kinds.js'

/** The mode of a lock file. Whoever may open it, if only to read it, can lock it, and keep a relay from starting. */
const LOCK_MODE = 0o600

/** The error when another process works in the folder. */
export class FolderInUseError extends Error {
  override name = 'FolderInUseError'
}

/** Why a folder cannot be made where the disk is good. */
const IN_THE_WAY: ReadonlySet<string> = new Set(['EACCES', 'EEXIST', 'ENOENT', 'ENOTDIR', 'EPERM'])

/**
 * Makes sure that one process alone works in `folder`: a second one would take the first one's files under way for
 * leftovers of a crash. The lock is SQLite's own, so the kernel frees it when the process ends, however it ends.
 * @param folder made if it is not there @param mode of a folder that is made
 * @param setting that names it @param name of the file that is locked, in it
 * @returns a function that gives it back
 * @throws {FolderInUseError} when another process holds it @throws {Error} when the disk does not allow it
 */
export function lockFolder(folder: string, setting = 'storage.path', mode = 0o750, name = 'lock.db'): () => void {
  make(folder, setting, mode)
  const file = join(folder, name)
  try {
    refuseOtherThanFile(file)
    makePrivate(file)
    const held = lockFile(file)
    return () => void held.close()
  } catch (error) {
    if (isNoLock(error)) throw noLock(file, { setting, path: folder }, error)
    if (storageFailureKind(error) === 'cannot-open') throw cannotOpen(file, setting, error)
    if (!isBusy(error)) throw asDiskFailure(error, [{ setting, path: folder }])
    throw new FolderInUseError(
      `another Treeline is running with ${setting} = ${folder}: stop it, or give this one another path`,
      { cause: error }
    )
  }
}

/**
 * Checks what is in the place of a lock, without locking it. Not for the process that holds the lock: it would give it back.
 * @throws {Error} as {@link lockFolder} does, when it is no lock
 */
export function checkLock(folder: Pick<OwnFolder, 'path' | 'setting' | 'lockName'>): void {
  const file = join(folder.path, folder.lockName)
  try {
    refuseOtherThanFile(file)
    schemaVersionOf(file) // SQLite locks an empty file, or a database
  } catch (error) {
    if (isNoLock(error)) throw noLock(file, folder, error)
  }
}

/** Whether a process holds a lock, as far as this one can tell: it may not open those of other users. */
export function isLocked(file: string): boolean {
  if (lstatSync(file, { throwIfNoEntry: false })?.isFile() !== true) return false
  try {
    lockFile(file).close()
    return false
  } catch (error) {
    return isBusy(error)
  }
}

function lockFile(file: string): Database {
  const db = new Sqlite(file, { timeout: 0 })
  try {
    db.pragma('journal_mode = MEMORY') // nothing is ever written, also where the disk is full
    db.pragma('locking_mode = EXCLUSIVE')
    db.exec('BEGIN EXCLUSIVE')
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

function isBusy(error: unknown): boolean {
  return storageFailureKind(error) === 'locked'
}

/** Makes the lock file, or takes away what others may do with one that is there. */
function makePrivate(file: string): void {
  try {
    closeSync(openSync(file, 'wx', LOCK_MODE))
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error
    // by its name: to close one that this process has locked would give back its lock
    const found = lstatSync(file, { throwIfNoEntry: false })
    refuseOtherThanFile(file) // what was made just then
    if (found !== undefined && (found.mode & 0o777) !== LOCK_MODE) setMode(file)
  }
}

function setMode(file: string): void {
  try {
    chmodSync(file, LOCK_MODE)
  } catch (error) {
    if (errorCode(error) !== 'EPERM') throw error // another user's: SQLite says whether it can be locked
  }
}

/** Names the file, as SQLite does not. */
function cannotOpen(file: string, setting: string, cause: unknown): Error {
  const advice =
    othersAdvice(file) ?? 'see that owner and permissions allow it, or remove it: it is made anew at the start'
  return new Error(`${setting}: ${file} cannot be opened; ${advice}`, { cause })
}

/** The advice for a lock of another user in a folder of this one's: whoever made it has left more there. */
function othersAdvice(file: string): string | undefined {
  const [folder, euid] = [dirname(file), process.geteuid?.()]
  const owner = lstatSync(file, { throwIfNoEntry: false })?.uid
  if (owner === undefined || owner === euid || lstatSync(folder).uid !== euid) return undefined
  return `it belongs to user ${owner}, as whom this was started before. As root, give this user all that was made then: chown -R ${euid} ${folder}`
}

/** The error where something else than a file is in the place of the lock. */
class NoFileError extends Error {}

/** Refuses it: SQLite would follow a link, and make the file that it leads to; a device does something when it is opened. */
function refuseOtherThanFile(file: string): void {
  const found = lstatSync(file, { throwIfNoEntry: false })
  if (found?.isFile() === false) throw new NoFileError(`is ${kindOf(found)}`)
}

function isNoLock(error: unknown): boolean {
  return error instanceof NoFileError || isDamage(error)
}

/** The error that says so: nothing is ever kept in a lock. */
function noLock(file: string, { setting, path }: Pick<OwnFolder, 'path' | 'setting'>, cause: unknown): Error {
  const what = cause instanceof NoFileError ? cause.message : 'is no lock'
  return new Error(`${setting} = ${path}: ${file} ${what}: remove it, it is made anew at the start`, { cause })
}

/**
 * Makes the folder. A disk that refuses is reported in the words for disks; other obstacles are reported by the code
 * that makes the folder.
 */
function make(folder: string, setting: string, mode: number): void {
  try {
    makeFolder(folder, mode)
  } catch (error) {
    const { cause, message } = asError(error)
    if (!IN_THE_WAY.has(errorCode(cause) ?? '')) throw asDiskFailure(cause, [{ setting, path: folder }])
    throw new Error(`${setting} = ${folder}: ${message}`, { cause })
  }
}
