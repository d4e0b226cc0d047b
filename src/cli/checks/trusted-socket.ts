import { constants, type Stats } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { Config } from '../../config/config.js'
import { errorCode } from '../../values/failures/system-error.js'
import { isPrivileged } from '../../values/files/file-writers.js'
import { STICKY } from '../../values/folders/closed-folder.js'
import type { HeldFolder } from '../../values/folders/held-folder.js'
import { walkPath } from '../../values/folders/path-walk.js'
import { UsageError } from '../command-error.js'
import { findFolder } from './open-folders.js'
import { findServiceUser } from './service-user.js'

const { S_IWGRP, S_IWOTH } = constants
const ROOT = 0

/** The reason why a socket may not be the relay's. */
class ForeignSocketError extends Error {}

/**
 * Refuses a Unix socket that another user may have put in the place of the relay's: root would send them its token, and
 * believe what they answer. Trusted are root and the user of the relay; without a configuration, the owner of the folder.
 * @param name what names the socket, for the message
 * @throws {UsageError} naming the socket, folder or link, and its owner
 */
export async function refuseForeignSocket(
  name: string,
  path: string,
  config: Config | undefined,
  euid = process.geteuid?.()
): Promise<void> {
  if (!isPrivileged(euid)) return
  const trusted = [ROOT, (config === undefined ? undefined : serviceUser(config)) ?? findFolder(dirname(path))?.uid]
  const groups: { readonly gid: number; readonly at: string }[] = []
  try {
    const { folder, name: last } = await walkPath(resolve(path), {
      checkFolder: async held => {
        const found = await held.stat()
        refuseOther(held.path, found, trusted)
        if ((found.mode & STICKY) !== 0) return
        if ((found.mode & S_IWOTH) !== 0) throw new ForeignSocketError(`everyone may write in ${held.path}`)
        if ((found.mode & S_IWGRP) !== 0) groups.push({ gid: found.gid, at: held.path })
      },
      checkLink: ({ at, uid }) => refuseOther(at, { uid }, trusted),
      noFolder: missing => Object.assign(new Error(missing), { code: 'ENOENT' })
    })
    await checkSocket(folder, last, trusted, groups).finally(() => folder.close())
  } catch (error) {
    if (error instanceof ForeignSocketError) throw refusal(name, path, error.message)
    if (errorCode(error) === undefined) throw error // else who connects meets the same error
  }
}

/** The user that the relay runs as; undefined where nothing tells. */
function serviceUser({ general, directory, storage }: Config): number | undefined {
  const folder = { setting: 'storage.path', path: storage.path }
  const { uid } = findServiceUser({ command: 'serve', nodeId: general.nodeId, directory, storage: folder })
  return uid === ROOT && findFolder(storage.path) === undefined ? undefined : uid
}

/** @param groups that may write on the way: one that the socket is open to is none of others */
async function checkSocket(
  folder: HeldFolder,
  name: string,
  trusted: readonly (number | undefined)[],
  groups: readonly { readonly gid: number; readonly at: string }[]
): Promise<void> {
  const found = await folder.find(name)
  if (found === undefined) return
  refuseOther(`${folder.path}/${name}`, found, trusted)
  const group = groups.find(({ gid }) => gid !== ROOT && gid !== found.gid)
  if (group !== undefined) throw new ForeignSocketError(`group ${group.gid} may write in ${group.at}`)
}

function refuseOther(path: string, { uid }: Pick<Stats, 'uid'>, trusted: readonly (number | undefined)[]): void {
  if (!trusted.includes(uid)) throw new ForeignSocketError(`${path} belongs to user ${uid}`)
}

function refusal(name: string, path: string, why: string): UsageError {
  return new UsageError(
    `${name} ${path} is not used: ${why}, who could answer in the place of the relay and take what it is sent, such as the admin token; have the relay listen in a folder that only root or the relay's user may write in, or run this as that user`
  )
}
