import type { Stats } from 'node:fs'
import { lstat, readlink, realpath, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { CommandError, errorCode, errorMessage, UsageError } from './command-error.js'
import { notAFile } from './file-kind.js'
import { HeldFolder } from './held-folder.js'
import { type FolderTrust, findTrusted } from './trusted-folder.js'

const ROOT = 0

/** Where a file goes: a folder that is held open, and a name in it. To be closed. */
export class FilePlace {
  private constructor(
    /** As found, without symbolic links. */
    readonly path: string,
    readonly folder: HeldFolder,
    readonly name: string,
    /** What is there now; a regular file. */
    readonly former: Stats | undefined
  ) {}

  /**
   * The place of a path that a user or an administrator names. A symbolic link there is followed: what it leads to is
   * written. With `trust`, each folder and link on the way is looked at.
   * @throws {CommandError} when there is no folder, when what is there is no regular file, or is not to be trusted
   */
  static async open(path: string, trust?: FolderTrust): Promise<FilePlace> {
    try {
      const { folder, name } = trust === undefined ? await findPlace(path) : await findTrusted(resolve(path), trust)
      try {
        const former = await folder.find(name)
        if (former !== undefined && !former.isFile()) throw notAFile(path, former)
        return new FilePlace(join(folder.path, name), folder, name, former)
      } catch (error) {
        await folder.close()
        throw error
      }
    } catch (error) {
      if (error instanceof CommandError) throw error
      throw cannotBeWritten(path, error)
    }
  }

  async close(): Promise<void> {
    await this.folder.close()
  }
}

const NOT_ALLOWED = 'this user may not write there; change the mode of its folder, or run as its owner'

/** Failed system calls in the words of whoever named the path. All else is of the disk. */
const WHY: Readonly<Record<string, string>> = {
  EACCES: NOT_ALLOWED,
  EPERM: NOT_ALLOWED,
  ENOTDIR: 'what its path has for a folder is none',
  ELOOP: 'its symbolic links lead round in a circle',
  ENAMETOOLONG: 'its name is too long'
}

export function cannotBeWritten(path: string, cause: unknown): CommandError {
  const why = WHY[errorCode(cause) ?? '']
  return why === undefined
    ? new CommandError(`${path} cannot be written: ${errorMessage(cause)}`, undefined, { cause })
    : new UsageError(`${path} cannot be written: ${why}`, { cause })
}

async function findPlace(path: string): Promise<{ folder: HeldFolder; name: string }> {
  const found = await followLink(resolve(path))
  const folder = dirname(found)
  if ((await statIfThere(folder))?.isDirectory() !== true) {
    throw new UsageError(`${path} cannot be written: there is no folder ${folder}; create it, or check the path`)
  }
  return { folder: await HeldFolder.open(folder), name: basename(found) }
}

/** Someone else could have put a link into a folder that everyone may write, to have our file take the place of another. */
async function followLink(path: string): Promise<string> {
  const link = await ifThere(lstat, path)
  if (link?.isSymbolicLink() !== true) return path
  const target = await readlink(path)
  if (link.uid !== ROOT && link.uid !== process.geteuid?.()) {
    throw new UsageError(
      `${path} is a symbolic link of user ${link.uid} and is not followed; name the file that it leads to: ${target}`
    )
  }
  try {
    return await realpath(path)
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
    throw new UsageError(
      `${path} is a symbolic link to ${target}, which is not there; remove the link, or make that file`
    )
  }
}

/** What a path leads to, symbolic links followed; undefined where there is nothing. @throws {CommandError} */
export function statIfThere(path: string): Promise<Stats | undefined> {
  return ifThere(stat, path)
}

async function ifThere(look: (path: string) => Promise<Stats>, path: string): Promise<Stats | undefined> {
  try {
    return await look(path)
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errorCode(error) ?? '')) return undefined
    throw cannotBeWritten(path, error)
  }
}
