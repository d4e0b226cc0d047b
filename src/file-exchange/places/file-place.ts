import type { Stats } from 'node:fs'
import { stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { ifThere } from '../../file-system/files/if-there.js'
import type { HeldFolder } from '../../file-system/folders/held-folder.js'
import { ClientError, InputError } from '../../relay-client/client-error.js'
import { errorCode, errorMessage } from '../../values/failures/system-error.js'
import { notAFile } from './file-kind.js'
import { findPlace } from './named-place.js'
import { type FolderTrust, findTrusted } from './trusted-folder.js'

/** The place of a file: a folder that is held open, and a name in it. To be closed. */
export class FilePlace {
  private constructor(
    /** The path as found, without symbolic links. */
    readonly path: string,
    readonly folder: HeldFolder,
    readonly name: string,
    /** The regular file that is there now. */
    readonly former: Stats | undefined
  ) {}

  /**
   * The place of a path that a user or an administrator names. A symbolic link there is followed: what it leads to is
   * written. With `trust`, each folder and link on the way is looked at.
   * @throws {ClientError} when there is no folder, when what is there is no regular file, or is not to be trusted
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
      if (error instanceof ClientError) throw error
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
  ENOTDIR: 'a part of its path is a file, not a folder',
  ELOOP: 'its symbolic links lead round in a circle',
  ENAMETOOLONG: 'its name is too long'
}

/** The names by which a file was called meanwhile, in a folder that is held: they help nobody. */
const OWN_NAMES = / '\/proc\/self\/fd\/.*$/s

export function cannotBeWritten(path: string, cause: unknown): ClientError {
  const why = WHY[errorCode(cause) ?? '']
  return why === undefined
    ? new ClientError(`${path} cannot be written: ${errorMessage(cause).replace(OWN_NAMES, '')}`, { cause })
    : new InputError(`${path} cannot be written: ${why}`, { cause })
}

/** The same for a file without a name, which is written in the folder for temporary files before it goes where it is wanted. */
export function noTemporaryFile(cause: unknown): ClientError {
  const failure = cannotBeWritten(tmpdir(), cause)
  failure.message += '; a temporary file is made there: TMPDIR names another folder'
  return failure
}

/** The target of a path, symbolic links followed; undefined where there is nothing. @throws {ClientError} */
export async function statIfThere(path: string): Promise<Stats | undefined> {
  try {
    return await ifThere(stat(path))
  } catch (error) {
    throw cannotBeWritten(path, error)
  }
}
