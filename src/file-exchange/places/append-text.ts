import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { ClientError } from '../../relay-client/client-error.js'
import { cannotBeWritten, FilePlace } from './file-place.js'

const { O_APPEND, O_CREAT, O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = constants
const AS_UMASK_SAYS = 0o666

/**
 * Adds a text to the end of a file that a user names, durably, and beside others who do the same: all of it, or nothing. A file
 * that is not there is made. Symbolic links are followed as `FilePlace` does, so that root is led nowhere by those of others.
 * @throws {ClientError} that names the file
 */
export async function appendText(path: string, text: string): Promise<void> {
  const place = await FilePlace.open(path)
  try {
    const flags = O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY
    const file = await open(place.folder.at(place.name), flags, AS_UMASK_SAYS)
    try {
      await appendTo(file, Buffer.from(text))
    } finally {
      await file.close()
    }
    if (place.former === undefined) await place.folder.sync()
  } catch (error) {
    throw error instanceof ClientError ? error : cannotBeWritten(path, error)
  } finally {
    await place.close()
  }
}

/** In one piece, as lines of others may come between two; what a disk takes of it only in part is taken away again. */
async function appendTo(file: FileHandle, bytes: Buffer): Promise<void> {
  const { bytesWritten } = await file.write(bytes)
  if (bytesWritten < bytes.length) {
    const { size } = await file.stat()
    await file.truncate(size - bytesWritten)
    throw new Error('there is no room left on its disk; nothing was added')
  }
  await file.sync()
}
