import type { FileHandle } from 'node:fs/promises'
import { ROOT } from '../permissions/root.js'
import type { HeldFolder } from './held-folder.js'

/**
 * Gives a file that root has made in a folder of another user to that user, as whom the program will run: it could not
 * read its keys otherwise.
 */
export async function giveToOwnerOf(folder: HeldFolder, file: FileHandle): Promise<void> {
  if (process.geteuid?.() !== ROOT) return
  const { uid, gid } = await folder.stat()
  if (uid !== ROOT) await file.chown(uid, gid)
}
