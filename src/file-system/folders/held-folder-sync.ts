import { closeSync, constants, fstatSync, lstatSync, openSync, type Stats } from 'node:fs'
import { join } from 'node:path'
import { descriptorPath, O_PATH } from './descriptors.js'

const { O_DIRECTORY, O_NOFOLLOW } = constants

/** A folder that is held open as a `HeldFolder` is, where nothing can be waited for and folders can be held. To be closed. */
export class HeldFolderSync {
  private constructor(
    /** The path at which it was found, for messages. */
    readonly path: string,
    private readonly fd: number
  ) {}

  /** Follows symbolic links. */
  static open(path: string): HeldFolderSync {
    return new HeldFolderSync(path, openSync(path, O_PATH | O_DIRECTORY))
  }

  /** A folder in this one. @throws {Error} ENOTDIR for a symbolic link as for any other file */
  openFolder(name: string): HeldFolderSync {
    return new HeldFolderSync(join(this.path, name), openSync(this.at(name), O_PATH | O_DIRECTORY | O_NOFOLLOW))
  }

  /** The path by which the folder itself is used. */
  get base(): string {
    return descriptorPath(this.fd)
  }

  /** The path by which a name in this folder is used. */
  at(name: string): string {
    return `${this.base}/${name}`
  }

  stat(): Stats {
    return fstatSync(this.fd)
  }

  /** The entry of that name, itself and not the target of a symbolic link. @throws {Error} where there is none */
  find(name: string): Stats {
    return lstatSync(this.at(name))
  }

  close(): void {
    closeSync(this.fd)
  }
}
