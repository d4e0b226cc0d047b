import type { Stats } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { Config } from '../../../config/config.js'
import { CAN_HOLD } from '../../../file-system/folders/descriptors.js'
import type { HeldFolder } from '../../../file-system/folders/held-folder.js'
import { walkPath } from '../../../file-system/folders/path-walk.js'
import { isPrivileged, ROOT, unmappedUser } from '../../../file-system/permissions/root.js'
import { findUntrusted, isOfRootOr, replacersOf, writerName } from '../../../file-system/permissions/writers.js'
import { errorCode } from '../../../values/failures/system-error.js'
import { UsageError } from '../../command-error.js'
import { findFolder } from './open-folders.js'
import { findServiceUser } from './service-user.js'

/** A folder on the way to a socket. */
interface Way {
  readonly path: string
  readonly found: Stats
}

/** The users who may have put the socket there, besides root. */
type Trusted = readonly (number | undefined)[]

/** The reason why a socket may not be the relay's. */
class ForeignSocketError extends Error {}

/**
 * Refuses a Unix socket that another user may have put in the place of the relay's: a command would send them its token, and
 * believe what they answer. Trusted are root, the user of the command, and the user of the relay; without a configuration,
 * or where that tells no user, the owner of the folder.
 * @param name what names the socket, for the message
 * @throws {UsageError} naming the socket, folder or link, and its owner
 */
export async function refuseForeignSocket(
  name: string,
  path: string,
  config: Config | undefined,
  euid = process.geteuid?.()
): Promise<void> {
  if (euid === ROOT ? !isPrivileged(euid) : !CAN_HOLD) return
  const ofRelay = (config === undefined ? undefined : serviceUser(config)) ?? findFolder(dirname(path))?.uid
  // in a namespace, the id of users without a place there may stand for root, whose socket a plain user trusts
  const trusted = [euid, ofRelay, euid === ROOT ? undefined : unmappedUser()]
  const ways: Way[] = []
  try {
    const { folder, name: last } = await walkPath(resolve(path), {
      checkFolder: async held => {
        const found = await held.stat()
        refuseReplaceable({ path: held.path, found }, trusted, found.gid)
        ways.push({ path: held.path, found })
      },
      checkLink: ({ at, uid }) => refuseOther(at, { uid }, trusted)
    })
    await checkSocket(folder, last, trusted, ways).finally(() => folder.close())
  } catch (error) {
    if (error instanceof ForeignSocketError) throw refusal(name, path, error.message)
    if (errorCode(error) === undefined) throw error // errors of the system are reported by the code that opens the path
  }
}

/** The user that the relay runs as: of its installed unit, else the owner of `storage.path`; undefined where nothing tells. */
function serviceUser({ general, directory, storage }: Config): number | undefined {
  const folder = { setting: 'storage.path', path: storage.path }
  const { uid } = findServiceUser({ command: 'serve', nodeId: general.nodeId, directory, storage: folder }, ROOT)
  return uid === ROOT && findFolder(storage.path) === undefined ? undefined : uid
}

/** @param ways to the socket: a group that may use it may write in them as well */
async function checkSocket(folder: HeldFolder, name: string, trusted: Trusted, ways: readonly Way[]): Promise<void> {
  const found = await folder.find(name)
  if (found === undefined) return
  refuseOther(`${folder.path}/${name}`, found, trusted)
  for (const way of ways) refuseReplaceable(way, trusted, found.gid)
}

/** @param gid of the group that may write there, besides root's: it is looked at once the socket is found */
function refuseReplaceable({ path, found }: Way, trusted: Trusted, gid: number): void {
  const replacer = findUntrusted(replacersOf(found), found, { uids: trusted, gids: [ROOT, gid] })
  if (replacer === undefined) return
  if (replacer.uid !== undefined) refuseOther(path, { uid: replacer.uid }, trusted)
  throw new ForeignSocketError(`${writerName(replacer)} may write in ${path}`)
}

function refuseOther(path: string, { uid }: Pick<Stats, 'uid'>, trusted: Trusted): void {
  if (!isOfRootOr(uid, ...trusted)) throw new ForeignSocketError(`${path} belongs to user ${uid}`)
}

function refusal(name: string, path: string, why: string): UsageError {
  return new UsageError(
    `${name} ${path} is not used: ${why}, who could answer in the place of the relay and take what it is sent, such as the admin token; have the relay listen in a folder that only root or the relay's user may write in, or run this as that user`
  )
}
