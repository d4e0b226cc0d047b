import { constants, type Stats } from 'node:fs'
import { type FileHandle, lstat, open, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { readRegularFile as readBytes } from '../../file-system/files/regular-file.js'
import type { HeldFolder } from '../../file-system/folders/held-folder.js'
import { notAFile } from './file-kind.js'

const { O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants

/** A regular file that is open for reading. The handle is to be closed. */
export interface RegularFile {
  readonly handle: FileHandle
  readonly stats: Stats
}

/**
 * Opens a regular file, and nothing else: not a FIFO, which would keep one of the few threads for files waiting until
 * someone writes to it, and not a device, which may do something when it is opened.
 * @param named the path in messages, with the setting that names it where there is one
 * @throws {InputError} when it is something else @throws {Error} of the system when it cannot be read
 */
export async function openRegularFile(path: string, named = path): Promise<RegularFile> {
  const found = await stat(path)
  if (!found.isFile()) throw notAFile(named, found)
  return heldRegular(await open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY), named)
}

/** Opens a regular file of a folder that is held, and never what a symbolic link leads to, as {@link openRegularFile} does otherwise. */
export async function openRegularFileIn(folder: HeldFolder, name: string): Promise<RegularFile> {
  const path = join(folder.path, name)
  const found = await lstat(folder.at(name))
  if (!found.isFile()) throw notAFile(path, found)
  return heldRegular(await open(folder.at(name), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW), path)
}

/** Reads a text that {@link openRegularFile} would open. Root is not led by links of others to what they may not read. */
export async function readNamedText(path: string, named = path): Promise<string> {
  const found = await stat(path)
  if (!found.isFile()) throw notAFile(named, found)
  return (await readBytes(path)).toString('utf8')
}

async function heldRegular(handle: FileHandle, named: string): Promise<RegularFile> {
  try {
    const stats = await handle.stat() // what was found may have been replaced before it was opened
    if (!stats.isFile()) throw notAFile(named, stats)
    return { handle, stats }
  } catch (error) {
    await handle.close()
    throw error
  }
}
