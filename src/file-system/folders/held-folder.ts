import { constants, type Stats } from 'node:fs'
import { type FileHandle, lstat, open } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { identityOf, isSameFile } from '../files/file-identity.js'
import { findItself } from '../files/if-there.js'
import { CAN_HOLD, descriptorPath, O_PATH, renameInError } from './descriptors.js'
import { syncFolder } from './sync-folder.js'

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants

/** The folders that this process settled on, by path: device and number of each. */
const settled = new Map<string, string>()

/**
 * Settles on the folder that was found at a path, until this process ends: nothing is written by that path into another one
 * that takes its place.
 */
export function settleOn(path: string, found: Stats): void {
  settled.set(resolve(path), identityOf(found))
}

/**
 * A folder that is held open: names in it mean this folder, also when someone renames it, or puts another one or a
 * symbolic link in its place. To be closed.
 */
export class HeldFolder {
  private constructor(
    /** The path at which it was found, for messages. */
    readonly path: string,
    private readonly handle: FileHandle,
    private readonly base: string,
    private readonly mustHold: boolean
  ) {}

  /**
   * Follows symbolic links, as any program does with a path that it is given.
   * @throws {Error} when this process settled on another folder of that path
   */
  static async open(path: string): Promise<HeldFolder> {
    const held = await HeldFolder.#hold(path, path, 0, false)
    const expected = settled.get(resolve(path))
    if (expected === undefined || expected === identityOf(await held.stat())) return held
    await held.close()
    throw new Error(`another folder has taken the place of ${path} since this command began: nothing was written there`)
  }

  /**
   * The topmost folder, from where a path is walked down.
   * @param mustHold whether folders that cannot be held are an error, those in it as well; else they are used by their paths
   */
  static async root(mustHold = true): Promise<HeldFolder> {
    return HeldFolder.#hold('/', '/', O_NOFOLLOW, mustHold)
  }

  /** A folder in this one. @throws {Error} ENOTDIR for a symbolic link as for any other file */
  async openFolder(name: string): Promise<HeldFolder> {
    return HeldFolder.#hold(join(this.path, name), this.at(name), O_NOFOLLOW, this.mustHold)
  }

  /** The path by which a name in this folder is used. */
  at(name: string): string {
    return `${this.base}/${name}`
  }

  stat(): Promise<Stats> {
    return this.handle.stat()
  }

  /** The entry of that name, itself and not the target of a symbolic link. */
  find(name: string): Promise<Stats | undefined> {
    return findItself(this.at(name))
  }

  /** An error of the system that names the folder by its path, not by the descriptor that it was used by. */
  named(error: unknown): unknown {
    return renameInError(error, this.base, this.path)
  }

  /** Makes the names in it survive a power cut. */
  sync(): Promise<void> {
    return syncFolder(this.at('.'))
  }

  async close(): Promise<void> {
    await this.handle.close()
  }

  static async #hold(path: string, by: string, flags: number, mustHold: boolean): Promise<HeldFolder> {
    const handle = await open(by, (CAN_HOLD ? O_PATH : O_RDONLY) | O_DIRECTORY | flags)
    try {
      const base = descriptorPath(handle.fd)
      if (await isSame(handle, `${base}/.`)) return new HeldFolder(path, handle, base, mustHold)
      if (mustHold) throw new Error(`${path} cannot be held open: this needs Linux, with /proc`)
      return new HeldFolder(path, handle, path, mustHold)
    } catch (error) {
      await handle.close()
      throw error
    }
  }
}

async function isSame(handle: FileHandle, path: string): Promise<boolean> {
  const found = await lstat(path).catch(() => undefined)
  return isSameFile(await handle.stat(), found)
}
