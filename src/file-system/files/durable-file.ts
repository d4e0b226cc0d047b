import { constants } from 'node:fs'
import { type FileHandle, link, open, rename, rm } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { HeldFolder } from '../folders/held-folder.js'
import { refusesHardLink } from './hard-link-or-copy.js'
import { removeLeftovers, temporaryName } from './leftovers.js'

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants

/** Writes the content of a file that has its name later. @returns whether the file is to have its name */
export type WriteContent = (file: FileHandle, folder: HeldFolder) => Promise<boolean>

/**
 * Replaces a file at once and durably: readers see the old content or the new, also after a power failure. What processes
 * left beside it that were killed at this is removed.
 * @returns what `write` said
 */
export function replaceFile(path: string, mode: number, write: WriteContent): Promise<boolean> {
  return placeDurably(path, mode, write, rename)
}

/**
 * Makes a file at once and durably: it is there whole, or not at all.
 * @throws {Error} with code EEXIST when it exists
 */
export async function makeFile(path: string, mode: number, write: WriteContent): Promise<void> {
  await placeDurably(path, mode, write, nameAnew)
}

/** Gives a file of a folder another name there, durably: a file that had it is replaced. */
export async function renameDurably(folder: HeldFolder, from: string, to: string): Promise<void> {
  await rename(folder.at(from), folder.at(to))
  await folder.sync()
}

async function placeDurably(
  path: string,
  mode: number,
  write: WriteContent,
  giveName: (temporary: string, path: string) => Promise<void>
): Promise<boolean> {
  const folder = await HeldFolder.open(dirname(path))
  const name = basename(path)
  const temporary = temporaryName(name)
  try {
    await removeLeftovers(folder, name)
    const file = await open(folder.at(temporary), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode)
    try {
      if (!(await write(file, folder))) return false
      await file.sync()
    } finally {
      await file.close()
    }
    await giveName(folder.at(temporary), folder.at(name))
    await rm(folder.at(temporary), { force: true })
    await folder.sync()
    return true
  } catch (error) {
    throw folder.named(error)
  } finally {
    await rm(folder.at(temporary), { force: true })
    await folder.close()
  }
}

/** A rename would replace a file that has come meanwhile; where there is nothing else, the name is taken first. */
async function nameAnew(temporary: string, path: string): Promise<void> {
  try {
    await link(temporary, path)
  } catch (error) {
    if (!refusesHardLink(error)) throw error
    const claim = await open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
    await claim.close()
    await rename(temporary, path)
  }
}
