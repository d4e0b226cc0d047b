import type { Stats } from 'node:fs'
import { join, resolve } from 'node:path'
import { type HeldFolder, settleOn } from '../../../file-system/folders/held-folder.js'
import { makeFolder, obstacleTo } from '../../../file-system/folders/make-folder.js'
import { walkPath } from '../../../file-system/folders/path-walk.js'
import { isPrivileged } from '../../../file-system/permissions/root.js'
import { groupIdOf, userIdOf } from '../../../file-system/permissions/system-users.js'
import {
  findUntrusted,
  isOfRootOr,
  replacersOf,
  type TrustedWriters,
  writerProblem,
  writersOf
} from '../../../file-system/permissions/writers.js'
import { ClientError } from '../../../relay-client/client-error.js'
import { UsageError } from '../../command-error.js'

/**
 * Files that mark a folder as ours. The owner of these keys can be in the tree, and whoever may write in the folder
 * decides its content.
 */
const IN_IT = ['tls.key', 'sign.key', 'certificate.pem', 'state.db', 'main.conf', 'agent.conf']

/** The error that ends a walk down a path where the rest of it does not exist yet. */
const TO_BE_MADE = new ClientError('a folder is to be made')

/**
 * Lets root set something up only in folders that belong to root, or to the users that it will be run as, and that nobody
 * else could put others in the place of: each one above them is looked at, and each link on the way. This process writes
 * into none that takes the place of one of them later, as its user could have it.
 * @param users names of them; one that the system does not know is nobody yet
 * @param advice what to do, besides choosing a folder of root's
 * @throws {UsageError} names what belongs to somebody else, or could be changed by them
 */
export async function refuseForeign(
  folders: readonly string[],
  users: readonly string[],
  advice = 'name its owner with --user',
  euid = process.geteuid?.()
): Promise<void> {
  if (!isPrivileged(euid)) return // whoever else has no more rights than the owner of the folder gave
  const trusted = { uids: users.map(userIdOf), gids: users.map(groupIdOf) }
  for (const folder of folders) {
    const problem = await foreignIn(resolve(folder), trusted)
    if (problem === undefined) continue
    const named = problem.startsWith(`${folder} `) ? '' : `${folder}: `
    throw new UsageError(
      `${named}${problem}, who could change what is kept there: choose a folder of root's, or ${advice}`
    )
  }
}

/**
 * Makes a folder that {@link refuseForeign} found nothing against, and looks at it again once it is there.
 * @throws {Error} naming the folder that cannot be made
 */
export async function makeOwnFolder(folder: string, users: readonly string[], advice?: string): Promise<void> {
  makeFolder(folder)
  await refuseForeign([folder], users, advice)
}

/** @returns what is not to be trusted on the way to a folder, in it, or of it */
async function foreignIn(path: string, trusted: TrustedWriters): Promise<string | undefined> {
  let problem: string | undefined
  const note = (found: string | undefined) => {
    problem ??= found
    if (problem !== undefined) throw TO_BE_MADE
  }
  try {
    // A name in the folder, so that it is looked at as well.
    const { folder } = await walkPath(join(path, 'x'), {
      checkFolder: async (held, isLast) => note(changeable(held.path, await held.stat(), isLast, trusted)),
      checkLink: ({ at, uid }) => note(isOfRootOr(uid, ...trusted.uids) ? undefined : `${at} is a link of user ${uid}`),
      noFolder: () => TO_BE_MADE
    })
    try {
      note(await foreignFile(folder, trusted))
      settleOn(path, await folder.stat())
    } finally {
      await folder.close()
    }
  } catch (error) {
    if (error !== TO_BE_MADE) throw error
  }
  return problem
}

/** @param isLast whether keys and settings go into it: there others may not make files either, as they may on the way in /tmp */
function changeable(path: string, found: Stats, isLast: boolean, trusted: TrustedWriters): string | undefined {
  const writer = findUntrusted(isLast ? writersOf(found) : replacersOf(found), found, trusted)
  return writer === undefined ? undefined : `${path} ${writerProblem(writer)}`
}

async function foreignFile(folder: HeldFolder, { uids }: TrustedWriters): Promise<string | undefined> {
  for (const name of IN_IT) {
    const found = await folder.find(name)
    if (found !== undefined && !isOfRootOr(found.uid, ...uids))
      return `${join(folder.path, name)} belongs to user ${found.uid}`
  }
  return undefined
}

/**
 * Looks for what is in the way of folders, before anything is made.
 * @param folders with the option that leads to each
 * @throws {UsageError}
 */
export function refuseObstructed(folders: readonly (readonly [option: string, folder: string])[]): void {
  for (const [option, folder] of folders) {
    const obstacle = obstacleTo(folder)
    if (obstacle !== undefined) throw new UsageError(`${option}: ${obstacle}; choose another one`)
  }
}
