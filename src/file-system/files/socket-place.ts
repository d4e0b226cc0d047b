import { connect } from 'node:net'
import { basename, dirname, resolve } from 'node:path'
import { errorCode, errorMessage, isMissing } from '../../values/failures/system-error.js'
import { HeldFolder } from '../folders/held-folder.js'
import { type FoundLink, walkPath } from '../folders/path-walk.js'
import { isPrivileged } from '../permissions/root.js'
import { isOfRootOr } from '../permissions/writers.js'

/** The end of the name that a socket is bound to. The system allows for a longer one than the setting. */
export const BOUND_SUFFIX = '~'

/** A socket at which a process listens, or one whose process has gone; undefined: there is nothing. */
export type FoundSocket = 'listened' | 'stale' | undefined

/**
 * Says why no socket can be made at `general.socket`, by the looks of a start, and without a change. A process that listens
 * there is none of the reasons: it may be the relay itself.
 * @param euid the user that the relay runs as
 * @returns undefined where one can
 */
export async function socketProblem(path: string, euid = process.geteuid?.()): Promise<string | undefined> {
  try {
    const folder = await openSocketFolder(path, euid)
    try {
      for (const end of ['', BOUND_SUFFIX]) await lookAtSocket(folder, basename(path) + end, path + end)
      return undefined
    } finally {
      await folder.close()
    }
  } catch (error) {
    return errorMessage(error)
  }
}

/** Opens the folder of a socket. Root follows no link there of another user, who could lead it elsewhere. The caller closes it. */
export async function openSocketFolder(path: string, euid = process.geteuid?.()): Promise<HeldFolder> {
  try {
    if (!isPrivileged(euid)) return await HeldFolder.open(dirname(path))
    const noFolder = () => missingFolder(path)
    const { folder, name } = await walkPath(resolve(dirname(path)), { checkLink: refuseForeign, noFolder })
    try {
      return await folder.openFolder(name)
    } finally {
      await folder.close()
    }
  } catch (error) {
    throw isMissing(error) || errorCode(error) === 'ENOTDIR' ? missingFolder(path) : error
  }
}

/** Looks at what is in the place of a socket, changing nothing. @throws {Error} where it is no socket that can be replaced */
export async function lookAtSocket(folder: HeldFolder, name: string, path: string): Promise<FoundSocket> {
  const found = await folder.find(name)
  if (found === undefined) return undefined
  if (!found.isSocket())
    throw new Error(`general.socket: ${path} is there already, and is no socket: choose another path`)
  const code = await connectionError(folder.at(name))
  if (code === undefined || code === 'EAGAIN') return 'listened'
  if (code === 'ECONNREFUSED') return 'stale'
  if (code === 'ENOENT') return undefined
  throw new Error(`general.socket: whether a process listens at ${path} cannot be told (${code}): remove it`)
}

function refuseForeign({ at, uid, target }: FoundLink): void {
  if (isOfRootOr(uid)) return
  throw new Error(
    `general.socket: ${at} is a symbolic link of user ${uid}, which root does not follow: name the folder that it leads to (${target}), or one of root's`
  )
}

function missingFolder(path: string): Error {
  return new Error(`general.socket: the folder of ${path} is not there: make it, for the user of the relay`)
}

/**
 * The code of the error at connecting to a socket; undefined where somebody listens. A socket that refuses has no
 * listener; one that is too busy has no place left, and one of others may not be asked.
 */
function connectionError(path: string): Promise<string | undefined> {
  return new Promise(resolve => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(undefined)
    })
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
  })
}
