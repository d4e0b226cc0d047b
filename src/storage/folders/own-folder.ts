import { closeSync, constants, fsyncSync, lstatSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { whyNotRead } from '../../values/failures/file-failure.js'
import { isMissing } from '../../values/failures/system-error.js'
import type { OwnFolder } from './folder-kinds.js'
import { keepLocked } from './kept-lock.js'
import { readMark } from './node-id-mark.js'
import { overlapOf } from './separate-folders.js'

const { O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_TRUNC, O_WRONLY } = constants

/**
 * Makes sure that all `folders` are of this node, and that this process alone works in them.
 * @param onLost called when the lock of one was removed, and another process took it: this one is to end
 * @returns a function that gives them back
 * @throws {Error} when another process is at work in one, it is another node's, or two are not apart
 */
export function takeFolders(
  nodeId: string,
  folders: readonly OwnFolder[],
  onLost: (error: Error) => void = () => undefined
): () => void {
  refuseOverlap(nodeId, folders) // before anything is made
  const taken: (() => void)[] = []
  const claimed: string[] = []
  const giveBack = () => {
    for (const release of taken.splice(0)) release()
  }
  try {
    for (const folder of folders) {
      taken.push(keepLocked(folder, onLost))
      if (claim(folder, nodeId)) claimed.push(join(folder.path, folder.nodeIdName))
    }
    refuseOverlap(nodeId, folders) // again: of two that start at once, each sees the other's marks by now
    return giveBack
  } catch (error) {
    for (const mark of claimed) rmSync(mark, { force: true }) // else what was never used would be in the way of others
    giveBack()
    throw error
  }
}

function refuseOverlap(nodeId: string, folders: readonly OwnFolder[]): void {
  const overlap = overlapOf(nodeId, folders)
  if (overlap !== undefined) throw new Error(overlap)
}

/** @returns whether it was nobody's before */
function claim(folder: OwnFolder, nodeId: string): boolean {
  if (isClaimed(folder, nodeId)) return false
  writeDurably(join(folder.path, folder.nodeIdName), `${nodeId}\n`)
  return true
}

/**
 * Refuses the folder of another node: one that found the files of another would take them for its own, and remove what it
 * knows nothing of.
 * @returns false where it is nobody's
 * @throws {Error} that says what to do
 */
export function isClaimed({ setting, path, nodeIdName }: OwnFolder, nodeId: string): boolean {
  const file = join(path, nodeIdName)
  const owner = readIfThere(setting, file)
  if (owner === '') return false
  if (owner === nodeId) return true
  throw new Error(
    `${setting} = ${path} belongs to the node ${owner}, and this one is ${nodeId}: give this one another path (or, if it is the same node under a new id, remove ${file})`
  )
}

/** Empty as well when a crash came between the file and what belongs in it. */
function readIfThere(setting: string, file: string): string {
  try {
    return readMark(file)
  } catch (error) {
    if (!isMissing(error)) throw new Error(`${setting}: ${file} cannot be read: ${whyNotRead(error)}`, { cause: error })
    if (lstatSync(file, { throwIfNoEntry: false }) === undefined) return ''
    throw new Error(
      `${setting}: ${file} is a symbolic link that leads nowhere: remove it, it is made anew at the start`,
      { cause: error }
    )
  }
}

function writeDurably(file: string, text: string): void {
  const fd = openSync(file, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK, 0o644)
  try {
    writeFileSync(fd, text)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
