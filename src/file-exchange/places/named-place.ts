import type { Stats } from 'node:fs'
import { lstat, readlink, realpath, stat } from 'node:fs/promises'
import { basename, dirname, resolve } from 'node:path'
import { ifThere } from '../../file-system/files/if-there.js'
import { HeldFolder } from '../../file-system/folders/held-folder.js'
import { makeFolder } from '../../file-system/folders/make-folder.js'
import { type FoundLink, type FoundName, walkPath } from '../../file-system/folders/path-walk.js'
import { isPrivileged, ROOT, unmappedRoot } from '../../file-system/permissions/root.js'
import { isOfRootOr } from '../../file-system/permissions/writers.js'
import { type ClientError, InputError } from '../../relay-client/client-error.js'
import { isMissing } from '../../values/failures/system-error.js'

/**
 * The place that a user names on a command line. Symbolic links are followed, but not those that someone else could have put
 * there to have our file take the place of another: at the end of the path, and for root anywhere in it.
 * @throws {InputError} when there is no folder, or a link is not followed
 */
export async function findPlace(path: string, euid = process.geteuid?.()): Promise<FoundName> {
  return isPrivileged(euid) ? walkAsRoot(resolve(path)) : followToEnd(resolve(path), euid)
}

/**
 * Makes the folders that are missing on the way to a place that a user names, where {@link findPlace} would go.
 * @throws {InputError} when a link is not followed; nothing was made beyond it
 */
export async function makeFoldersTo(path: string, mode = 0o755, euid = process.geteuid?.()): Promise<void> {
  if (isPrivileged(euid)) await (await walkWithLinks(resolve(path), mode)).folder.close()
  else makeFolder(dirname(resolve(path)), mode)
}

/**
 * Checks the links of a path that is opened by its name, as {@link findPlace} does. A pipe of this process has one
 * that leads to no name.
 */
export async function checkLinks(path: string, euid = process.geteuid?.()): Promise<void> {
  if (isPrivileged(euid)) return (await walkWithLinks(resolve(path))).folder.close()
  const link = await ifThere(lstat(path))
  if (link?.isSymbolicLink() === true) refuseForeign(path, linkAtEnd(path, link, await readlink(path)), euid)
}

async function walkAsRoot(path: string): Promise<FoundName> {
  const { last, ...place } = await walkWithLinks(path)
  try {
    if (last?.isEnd === true && (await place.folder.find(place.name)) === undefined)
      throw leadsNowhere(path, last.target)
    return place
  } catch (error) {
    await place.folder.close()
    throw error
  }
}

/** @returns the last link as well */
async function walkWithLinks(
  path: string,
  makeMode?: number
): Promise<FoundName & { readonly last: FoundLink | undefined }> {
  let last: FoundLink | undefined
  const place = await walkPath(path, {
    checkLink: link => {
      refuseForeign(path, link, ROOT)
      last = link
    },
    noFolder: (missing, isFile) => noFolder(path, missing, isFile),
    ...(makeMode === undefined ? {} : { makeMode })
  })
  return { ...place, last }
}

async function followToEnd(path: string, euid: number | undefined): Promise<FoundName> {
  const found = await followLink(path, euid)
  const folder = dirname(found)
  const stats = await ifThere(stat(folder))
  if (stats?.isDirectory() !== true) throw noFolder(path, folder, stats !== undefined)
  return { folder: await HeldFolder.open(folder), name: basename(found) }
}

async function followLink(path: string, euid: number | undefined): Promise<string> {
  const link = await ifThere(lstat(path))
  if (link?.isSymbolicLink() !== true) return path
  const target = await readlink(path)
  refuseForeign(path, linkAtEnd(path, link, target), euid)
  try {
    return await realpath(path)
  } catch (error) {
    if (!isMissing(error)) throw error
    throw leadsNowhere(path, target)
  }
}

function linkAtEnd(path: string, { uid }: Stats, target: string): FoundLink {
  return { at: path, uid, target, isEnd: true }
}

function refuseForeign(path: string, { at, uid, target, isEnd }: FoundLink, euid: number | undefined): void {
  if (isOfRootOr(uid, euid, unmappedRoot(euid))) return
  const advice = `is a symbolic link of user ${uid} and is not followed; name the ${isEnd ? 'file' : 'folder'} that it leads to: ${target}`
  throw new InputError(at === path ? `${at} ${advice}` : `${path} cannot be written: ${at} ${advice}`)
}

function noFolder(path: string, missing: string, isFile: boolean): ClientError {
  if (isFile) return new InputError(`${path} cannot be written: ${missing} is a file, not a folder; check the path`)
  return new InputError(`${path} cannot be written: there is no folder ${missing}; create it, or check the path`)
}

function leadsNowhere(path: string, target: string): ClientError {
  return new InputError(
    `${path} is a symbolic link to ${target}, which is not there; remove the link, or make that file`
  )
}
