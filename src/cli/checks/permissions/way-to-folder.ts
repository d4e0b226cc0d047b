import type { Stats } from 'node:fs'
import { identityOf } from '../../../file-system/files/file-identity.js'
import type { HeldFolder } from '../../../file-system/folders/held-folder.js'
import { type FoundLink, walkPath } from '../../../file-system/folders/path-walk.js'
import { isPrivileged } from '../../../file-system/permissions/root.js'
import { isOfRootOr, replacersOf, writerProblem } from '../../../file-system/permissions/writers.js'
import { errorCode } from '../../../values/failures/system-error.js'
import { findFolder, isRefusedOnWay, type WrittenFolder } from './open-folders.js'

/** The error for a way that another user could make lead elsewhere. */
class ChangeableWayError extends Error {}

/**
 * Refuses folders that a process of root's cannot reach without passing what another user could replace: a symbolic link
 * or a folder of theirs, or a folder in which everyone may write. The last folder of a path is only warned of, elsewhere.
 * @param folders all that the process writes in, by absolute paths @throws {Error} naming the setting, and what is on the way
 */
export async function refuseForeignWays(folders: readonly WrittenFolder[], euid = process.geteuid?.()): Promise<void> {
  const [problem] = await foreignWays(folders, euid)
  if (problem !== undefined) throw new Error(problem)
}

/** Finds what {@link refuseForeignWays} would say at a start as `user`: the one that checks is not always the one that runs it. */
export async function foreignWaysOf(user: number | undefined, folders: readonly WrittenFolder[]): Promise<string[]> {
  return user === process.geteuid?.() ? foreignWays(folders, user) : []
}

async function foreignWays(folders: readonly WrittenFolder[], euid: number | undefined): Promise<string[]> {
  if (!isPrivileged(euid)) return []
  const known = folders.map(({ path }) => identityOf(findFolder(path)))
  const found = await Promise.all(folders.map(folder => problemOnWay(folder, known)))
  return found.filter(problem => problem !== undefined)
}

/** @param known the folders of the settings themselves: one may be in another, whose owner is warned of already */
async function problemOnWay(
  { setting, path }: WrittenFolder,
  known: readonly (string | undefined)[]
): Promise<string | undefined> {
  try {
    const { folder } = await walkPath(path, {
      checkFolder: async held => {
        const found = await held.stat()
        if (!known.includes(identityOf(found))) refuseChangeable(held, found)
      },
      checkLink: refuseLink
    })
    await folder.close()
    return undefined
  } catch (error) {
    if (error instanceof ChangeableWayError) return `${setting} ${path}: ${error.message}`
    if (errorCode(error) === undefined) throw error
    return undefined // it is to be made, or the code that opens the path reports the error
  }
}

function refuseLink({ at, uid, target, isEnd }: FoundLink): void {
  if (isOfRootOr(uid)) return
  const what = isEnd ? 'name the folder that it leads to' : 'name the way by the folder that it leads to'
  throw new ChangeableWayError(
    `${at} is a symbolic link of user ${uid}, which root does not follow: ${what} (${target}), let root own the link (chown -h root ${at}), or run this as that user`
  )
}

function refuseChangeable({ path }: HeldFolder, found: Stats): void {
  const replacer = replacersOf(found).find(isRefusedOnWay)
  if (replacer === undefined) return
  const mend =
    replacer.uid === undefined
      ? `choose another folder, or chmod o-w ${path}`
      : `choose a folder below one of root's, chown root ${path}, or run this as that user`
  throw new ChangeableWayError(`${path} ${writerProblem(replacer)}, who could lead root elsewhere: ${mend}`)
}
