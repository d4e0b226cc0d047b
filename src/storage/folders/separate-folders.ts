import { lstatSync, readFileSync, realpathSync } from 'node:fs'
import { basename, dirname, join, relative, resolve, sep } from 'node:path'
import { type OwnFolder, STORAGE_SUBFOLDERS, sharedFilesFolder, storageFolder } from './folder-kinds.js'
import { nestedMarks } from './nested-marks.js'

interface Place {
  readonly setting: string
  /** Without symbolic links. */
  readonly path: string
}

const ROOT = '/'
const STORAGE = storageFolder(ROOT, 0)
const SHARED_FILES = sharedFilesFolder(ROOT)
const MARKS = [STORAGE, SHARED_FILES]

/**
 * What keeps a node's folders from being told apart: one that is, or lies in, another one of them, or another node's folder
 * of shared files, or that has such a one in it. A relay takes what it knows nothing of in these for leftovers, and agents read in them.
 * @param nodeId whose folders they are: what it left where it had others before does not count
 * @param folders that need not be there yet
 * @returns what is wrong, naming both settings; undefined when all is well
 */
export function overlapOf(nodeId: string, folders: readonly Pick<OwnFolder, 'setting' | 'path'>[]): string | undefined {
  const places = folders.map(({ setting, path }) => ({ setting, path: realPath(resolve(path)) }))
  for (const place of places) {
    const problem = overlapWithin(place, places) ?? overlapWithOthers(place, nodeId)
    if (problem !== undefined) return problem
  }
  return undefined
}

function overlapWithin(place: Place, places: readonly Place[]): string | undefined {
  for (const other of places) {
    if (other.setting === place.setting) continue
    if (other.path === place.path) return refusal(place, `is ${other.setting} as well`)
    if (isApartIn(other, place)) continue
    if (foldersAbove(place.path).includes(other.path)) return refusal(place, `lies in ${other.setting} = ${other.path}`)
  }
  return undefined
}

/** A folder of another name in `storage.path` is no trouble: nobody looks for anything there. */
function isApartIn(outer: Place, inner: Place): boolean {
  const first = relative(outer.path, inner.path).split(sep)[0] ?? ''
  return outer.setting === STORAGE.setting && first !== '' && first !== '..' && !STORAGE_SUBFOLDERS.includes(first)
}

/** By the file that a relay leaves in each of its folders. */
function overlapWithOthers(place: Place, nodeId: string): string | undefined {
  for (const { setting, nodeIdName } of MARKS.filter(mark => mark.setting !== place.setting)) {
    const file = join(place.path, nodeIdName)
    const owner = otherOwner(file, nodeId)
    if (owner !== undefined) return refusal(place, `is ${setting} of the node ${owner}`, file)
  }
  const { setting, nodeIdName } = SHARED_FILES
  for (const folder of foldersAbove(place.path)) {
    const file = join(folder, nodeIdName)
    const owner = otherOwner(file, nodeId)
    if (owner !== undefined) return refusal(place, `lies in ${setting} = ${folder} of the node ${owner}`, file)
  }
  return place.setting === setting ? overlapWithNested(place, nodeId) : undefined
}

/** A relay whose shared files lie in this one's: what it acknowledged would be purged here. */
function overlapWithNested(place: Place, nodeId: string): string | undefined {
  for (const file of nestedMarks(place.path)) {
    const owner = otherOwner(file, nodeId)
    if (owner === undefined) continue
    return refusal(place, `contains ${SHARED_FILES.setting} = ${dirname(file)} of the node ${owner}`, file)
  }
  return undefined
}

/** @returns undefined where there is no such file, which is never a link: in a folder of shared files a folder may have its name, that of a node */
function otherOwner(file: string, nodeId: string): string | undefined {
  if (lstatSync(file, { throwIfNoEntry: false })?.isFile() !== true) return undefined
  const owner = readFileSync(file, 'utf8').trim()
  return owner === nodeId || owner === '' ? undefined : owner
}

function foldersAbove(path: string): string[] {
  const above = dirname(path)
  return above === path ? [] : [above, ...foldersAbove(above)]
}

/** Where it leads to now, and the rest of it as it will be made. */
function realPath(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    const above = dirname(path)
    return above === path ? path : join(realPath(above), basename(path))
  }
}

function refusal({ setting, path }: Place, how: string, mark?: string): string {
  const advice = mark === undefined ? '' : ` (or, if that is not in use any more, remove ${mark})`
  return `${setting} = ${path} ${how}: give each a folder of its own, none within another${advice}`
}
