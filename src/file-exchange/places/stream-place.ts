import { constants, fstatSync } from 'node:fs'
import { open } from 'node:fs/promises'
import type { Writable } from 'node:stream'
import { isSameFile } from '../../file-system/files/file-identity.js'
import { kindOf } from '../../file-system/files/regular-file.js'
import { isOfRootOr } from '../../file-system/permissions/writers.js'
import { ClientError, InputError } from '../../relay-client/client-error.js'
import { statIfThere } from './file-place.js'
import { checkLinks } from './named-place.js'

/** Opens what is there to be written to; waits for whoever reads from a FIFO. */
export type OpenStream = () => Promise<{ readonly writable: Writable; readonly mayEnd: boolean }>

/**
 * Opens the target of a path that is written to instead of being replaced: a FIFO, a device, or the output of this
 * command.
 * @throws {InputError} when it belongs to another user, who would get what is written, or a link of another user
 *   leads there
 */
export async function findStream(path: string, euid = process.geteuid?.()): Promise<OpenStream | undefined> {
  const found = await statIfThere(path)
  if (found === undefined) return undefined
  // Opened by its path, a redirected output would be another place in the same file.
  if (isSameFile(found, fstatSync(1))) return async () => ({ writable: process.stdout, mayEnd: false })
  if (isSameFile(found, fstatSync(2))) return async () => ({ writable: process.stderr, mayEnd: false })
  if (!found.isFIFO() && !found.isCharacterDevice() && !found.isBlockDevice()) return undefined
  if (!isOfRootOr(found.uid, euid)) {
    throw new InputError(
      `${path} is ${kindOf(found)} of user ${found.uid} and is not written to; name a file, or /dev/stdout and redirect that`
    )
  }
  await checkLinks(path, euid)
  return async () => {
    const handle = await open(path, constants.O_WRONLY | constants.O_NOCTTY)
    if (isSameFile(found, await handle.stat())) return { writable: handle.createWriteStream(), mayEnd: true }
    await handle.close()
    throw new ClientError(`${path} was replaced while the file was fetched`)
  }
}
