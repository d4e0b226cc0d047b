import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, link, open, rename, rm } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { errorCode } from '../failures/system-error.js'
import { giveToOwnerOf } from './folder-owner.js'
import { HeldFolder } from './held-folder.js'

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants
/** The codes with which a file system refuses a second name for a file, since it has no such thing. */
const NO_LINKS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']

/**
 * Writes a file that must not exist yet, to the disk itself: whole, or not at all. Root gives it to the owner of the folder.
 * @throws {Error} with code EEXIST when it exists; else one that names it
 */
export async function writeNewFile(path: string, content: string, mode: number): Promise<void> {
  try {
    await writeWhole(path, content, mode)
  } catch (cause) {
    if (errorCode(cause) === 'EEXIST') throw cause
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new Error(`${path} cannot be written: ${why}`, { cause })
  }
}

async function writeWhole(path: string, content: string, mode: number): Promise<void> {
  const folder = await HeldFolder.open(dirname(path))
  const [name, temporary] = [basename(path), `.${basename(path)}.${randomBytes(6).toString('hex')}~`]
  try {
    const file = await open(folder.at(temporary), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode)
    await fill(file, content, folder)
    await giveName(folder.at(temporary), folder.at(name))
    await rm(folder.at(temporary), { force: true })
    await folder.sync()
  } catch (error) {
    throw folder.named(error)
  } finally {
    await rm(folder.at(temporary), { force: true })
    await folder.close()
  }
}

async function fill(file: FileHandle, content: string, folder: HeldFolder): Promise<void> {
  try {
    await giveToOwnerOf(folder, file)
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** A rename would replace a file that has come meanwhile; where there is nothing else, the name is taken first. */
async function giveName(temporary: string, path: string): Promise<void> {
  try {
    await link(temporary, path)
  } catch (error) {
    if (!NO_LINKS.includes(errorCode(error) ?? '')) throw error
    const claim = await open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
    await claim.close()
    await rename(temporary, path)
  }
}
