import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, lstat, open } from 'node:fs/promises'
import { kindOf } from '../../file-system/files/regular-file.js'
import { isMissing } from '../../values/failures/system-error.js'
import type { QueuedFile } from '../keeping/file-record.js'

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants
/** The fault of an entry whose file is gone. */
export const REMOVED = 'its file was removed from .outbox~ in shared_files.path'
const IN_OUTBOX = 'its file in .outbox~ in shared_files.path'

/** Opens the file of an entry, to be closed. @throws {Error} when it is no file: a FIFO would be waited for, for ever */
export async function openWaiting(path: string): Promise<FileHandle> {
  const file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  try {
    const found = await file.stat()
    if (!found.isFile()) throw new Error(`${IN_OUTBOX} is ${kindOf(found)}: remove it`)
    return file
  } catch (error) {
    await file.close()
    throw error
  }
}

/** Says what is wrong with the file of an entry, as far as its size tells. @returns undefined when nothing is */
export async function faultOf(path: string, { sizeBytes }: QueuedFile): Promise<string | undefined> {
  try {
    const found = await lstat(path)
    if (!found.isFile()) return `${IN_OUTBOX} is ${kindOf(found)}: remove it`
    if (found.size !== sizeBytes) {
      return `${IN_OUTBOX} has ${found.size} bytes, and had ${sizeBytes} when it was accepted: it was changed, or the disk lost some`
    }
    return undefined
  } catch (error) {
    if (isMissing(error)) return REMOVED
    throw error
  }
}

/** Says so where the content of an entry's file is not the one that was accepted. The whole file is read. */
export async function changeOf(path: string, { algorithm, hash, sizeBytes }: QueuedFile): Promise<string | undefined> {
  const digest = createHash(algorithm)
  const file = await openWaiting(path)
  for await (const chunk of file.createReadStream({ end: sizeBytes })) digest.update(chunk)
  if (digest.digest('hex') === hash.toLowerCase()) return undefined
  return `${IN_OUTBOX} is not what was accepted any more: it was changed, or the disk reads something else`
}
