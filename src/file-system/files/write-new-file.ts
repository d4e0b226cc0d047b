import { errorCode, errorMessage } from '../../values/failures/system-error.js'
import { giveToOwnerOf } from '../folders/folder-owner.js'
import { makeFile } from './durable-file.js'

/**
 * Writes a file that must not exist yet, to the disk itself: whole, or not at all. Root gives it to the owner of the folder.
 * @throws {Error} with code EEXIST when it exists; else one that names it
 */
export async function writeNewFile(path: string, content: string, mode: number): Promise<void> {
  try {
    await makeFile(path, mode, async (file, folder) => {
      await giveToOwnerOf(folder, file)
      await file.writeFile(content)
      return true
    })
  } catch (cause) {
    if (errorCode(cause) === 'EEXIST') throw cause
    throw new Error(`${path} cannot be written: ${errorMessage(cause)}`, { cause })
  }
}
