import { constants, type Stats } from 'node:fs'
import { type FileHandle, open, realpath } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { replaceFile } from '../../file-system/files/durable-file.js'
import { kindOf, readRegularFile } from '../../file-system/files/regular-file.js'
import { giveToOwnerOf } from '../../file-system/folders/folder-owner.js'
import { HeldFolder } from '../../file-system/folders/held-folder.js'
import { ROOT } from '../../file-system/permissions/root.js'
import { replacersOf } from '../../file-system/permissions/writers.js'
import { whyNotRead } from '../../values/failures/file-failure.js'
import { errorCode, isMissing } from '../../values/failures/system-error.js'

const { O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants
const PERMISSIONS = 0o777

type Owner = Pick<Stats, 'uid' | 'gid'>

/**
 * Replaces the content of a file that a user may have changed: its mode and owner stay (there may be a password in it),
 * and a symbolic link stays one. What is read is what is replaced: as root, no link is followed in a folder that
 * another user could put it in.
 * @param edit makes the new content of the former one
 */
export async function editFile(file: string, edit: (former: string) => string): Promise<void> {
  const folder = await HeldFolder.open(dirname(file))
  try {
    await editIn(folder, basename(file), edit)
  } catch (error) {
    throw folder.named(error)
  } finally {
    await folder.close()
  }
}

async function editIn(folder: HeldFolder, name: string, edit: (former: string) => string): Promise<void> {
  const path = await placeOf(folder, name)
  const handle = await openItself(path)
  try {
    const found = await handle.stat()
    if (!found.isFile()) throw new Error(`${path} is ${kindOf(found)}, where a file belongs`)
    const { mode, uid, gid } = found
    await writeAtomically(path, edit(await handle.readFile('utf8')), mode & PERMISSIONS, { uid, gid })
  } finally {
    await handle.close()
  }
}

/**
 * Replaces a file at once and durably, unless it has that content.
 * @param owner undefined: this process; for root, the owner of the folder, as whom the program will run
 * @returns whether it did not
 */
export async function writeAtomically(path: string, content: string, mode = 0o644, owner?: Owner): Promise<boolean> {
  // what cannot be read is replaced, a link that root does not follow as well
  if ((await readIfThere(path).catch(() => undefined)) === content) return false
  return replaceFile(path, mode, async (file, folder) => {
    if (owner === undefined) await giveToOwnerOf(folder, file)
    else if (process.geteuid?.() === ROOT) await file.chown(owner.uid, owner.gid)
    await file.writeFile(content)
    return true
  })
}

/** Undefined when there is no such file. @throws {Error} naming one that cannot be read */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return (await readRegularFile(path)).toString('utf8')
  } catch (cause) {
    if (isMissing(cause)) return undefined
    throw new Error(`${path} cannot be read: ${whyNotRead(cause)}`, { cause })
  }
}

/** The path of the file itself: what a link leads to, unless another user may have put the link there. */
async function placeOf(folder: HeldFolder, name: string): Promise<string> {
  const isOthers = process.geteuid?.() === ROOT && replacersOf(await folder.stat()).length > 0
  return isOthers ? folder.at(name) : realpath(folder.at(name))
}

async function openItself(path: string): Promise<FileHandle> {
  try {
    return await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)
  } catch (error) {
    if (errorCode(error) !== 'ELOOP') throw error
    throw new Error(
      `${path} is a symbolic link that is not followed, since others may change what is in its folder: put the file there itself, or run this as the owner of the folder`,
      { cause: error }
    )
  }
}
