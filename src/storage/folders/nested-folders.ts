import { type Dirent, lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { errorCode } from '../../values/failures/system-error.js'
import { isNodeId } from '../../values/ids.js'
import { MAX_RELAYS, ON_BEHALF } from './folder-kinds.js'

/** Folders of nodes that are looked at, nearest first. */
export const MAX_NESTED_FOLDERS = 100_000

/**
 * The places in which another relay's folder can be below this relay's shared files: in the folder of a node, and in
 * its folder on behalf, again and again. This relay would take the files there for its own. Links are not followed.
 * @param path of this relay's shared files
 */
export function* nestedFolders(path: string): Generator<string> {
  let places = [path]
  let left = MAX_NESTED_FOLDERS
  for (let relays = 0; relays <= MAX_RELAYS && places.length > 0; relays += 1) {
    const next: string[] = []
    for (const place of places) {
      for (const { name } of foldersIn(place)) {
        if (!isNodeId(name)) continue
        if (left === 0) return
        left -= 1
        yield join(place, name)
        const onBehalf = join(place, name, ON_BEHALF)
        if (!isFolder(onBehalf)) continue
        yield onBehalf
        next.push(onBehalf)
      }
    }
    places = next
  }
}

/**
 * The error codes of a folder in which nothing is found: what this process may not read, and what links lead to in a circle,
 * it cannot take for its own either.
 */
const NOTHING_THERE = ['ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP']

function foldersIn(path: string): Dirent[] {
  return unlessMissing(() => readdirSync(path, { withFileTypes: true }).filter(entry => entry.isDirectory())) ?? []
}

function isFolder(path: string): boolean {
  return unlessMissing(() => lstatSync(path, { throwIfNoEntry: false })?.isDirectory()) ?? false
}

export function unlessMissing<T>(look: () => T): T | undefined {
  try {
    return look()
  } catch (error) {
    if (NOTHING_THERE.includes(errorCode(error) ?? '')) return undefined
    throw error
  }
}
