import { lstatSync } from 'node:fs'
import { join, relative, resolve, sep } from 'node:path'
import { foldersAbove, realPath } from '../../file-system/files/real-path.js'
import { type OwnFolder, STORAGE_SUBFOLDERS, sharedFilesFolder, storageFolder } from './folder-kinds.js'
import { isLocked } from './instance-lock.js'
import { nestedFolders, unlessMissing } from './nested-folders.js'
import { readMark } from './node-id-mark.js'

interface Place {
  readonly setting: string
  /** The path without symbolic links. */
  readonly path: string
  readonly mayHoldOthers?: boolean
}

/** A folder of a node, which need not be there yet. */
export type ApartFolder = Pick<OwnFolder, 'setting' | 'path'> & {
  /** Whether the others may lie in it: it is only read, and gives away nothing of them. */
  readonly mayHoldOthers?: boolean
}

/** The marks of a folder, by which its user is known. */
type Kind = Pick<OwnFolder, 'setting' | 'nodeIdName' | 'lockName'>

const ROOT = '/'
const STORAGE = storageFolder(ROOT, 0)
const SHARED_FILES = sharedFilesFolder(ROOT)
const KINDS = [STORAGE, SHARED_FILES]

/**
 * Checks that a node's folders can be told apart: none of them is, or lies in, another one of them, or another
 * relay's, or has such a one in it. A relay takes what it knows nothing of in these for leftovers, and agents read in
 * them.
 * @param nodeId whose folders they are: what it left where it had others before does not count, unless it is in use
 * @param folders that need not be there yet
 * @returns what is wrong, naming both settings; undefined when all is well
 */
export function overlapOf(nodeId: string, folders: readonly ApartFolder[]): string | undefined {
  const places = folders.map(({ path, ...folder }) => ({ ...folder, path: realPath(resolve(path)) }))
  for (const place of places) {
    const problem = overlapWithin(place, places) ?? overlapWithOthers(place, places, nodeId)
    if (problem !== undefined) return problem
  }
  return undefined
}

function overlapWithin(place: Place, places: readonly Place[]): string | undefined {
  for (const other of places) {
    if (other.setting === place.setting) continue
    if (other.path === place.path) return refusal(place, `is ${other.setting} as well`)
    if (other.mayHoldOthers === true || isApartIn(other, place)) continue
    if (foldersAbove(place.path).includes(other.path)) return refusal(place, `lies in ${other.setting} = ${other.path}`)
  }
  return undefined
}

/** A folder of another name in `storage.path` is no trouble: nobody looks for anything there. */
function isApartIn(outer: Place, inner: Place): boolean {
  const first = relative(outer.path, inner.path).split(sep)[0] ?? ''
  return outer.setting === STORAGE.setting && first !== '' && first !== '..' && !STORAGE_SUBFOLDERS.includes(first)
}

/** Finds the folders of other relays by the files that a relay leaves in each of them. */
function overlapWithOthers(place: Place, places: readonly Place[], nodeId: string): string | undefined {
  const find = (folder: string, kinds: readonly Kind[]) => {
    for (const kind of kinds) {
      if (places.some(({ setting, path }) => setting === kind.setting && path === folder)) continue
      const claim = claimOf(folder, kind, nodeId)
      if (claim !== undefined) return claim
    }
    return undefined
  }
  const same = find(
    place.path,
    KINDS.filter(({ setting }) => setting !== place.setting)
  )
  if (same !== undefined) return refusal(place, `is ${same.setting} ${same.owner}`, same.mark)
  for (const folder of foldersAbove(place.path)) {
    const isTaken = STORAGE_SUBFOLDERS.includes(relative(folder, place.path).split(sep)[0] ?? '')
    const above = find(folder, isTaken ? KINDS : [SHARED_FILES])
    if (above !== undefined) return refusal(place, `lies in ${above.setting} = ${folder} ${above.owner}`, above.mark)
  }
  for (const folder of foldersBelow(place)) {
    const below = find(folder, KINDS)
    if (below !== undefined) return refusal(place, `contains ${below.setting} = ${folder} ${below.owner}`, below.mark)
  }
  return undefined
}

/** The places at which a relay looks for its own files. */
function foldersBelow({ setting, path }: Place): Iterable<string> {
  return setting === SHARED_FILES.setting ? nestedFolders(path) : STORAGE_SUBFOLDERS.map(name => join(path, name))
}

/** The claim of another relay to a folder. */
interface Claim {
  readonly setting: string
  readonly owner: string
  /** The file to remove where it is given up; it is not where the relay runs. */
  readonly mark: string | undefined
}

/** @returns undefined where there is no mark, which is never a link: in a folder of shared files a folder may have its name, that of a node */
function claimOf(folder: string, { setting, nodeIdName, lockName }: Kind, nodeId: string): Claim | undefined {
  const mark = join(folder, nodeIdName)
  if (unlessMissing(() => lstatSync(mark))?.isFile() !== true) return undefined
  const owner = readMark(mark)
  if (owner === '') return undefined
  if (owner !== nodeId) return { setting, owner: `of the node ${owner}`, mark }
  if (!isLocked(join(folder, lockName))) return undefined
  return { setting, owner: `of another Treeline that is running with this node_id`, mark: undefined }
}

function refusal({ setting, path }: Place, how: string, mark?: string): string {
  const advice = mark === undefined ? '' : ` (or, if that is not in use any more, remove ${mark})`
  return `${setting} = ${path} ${how}: give each a folder of its own, none within another${advice}`
}
