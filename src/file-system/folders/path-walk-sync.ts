import { readlinkSync, type Stats } from 'node:fs'
import { join } from 'node:path'
import { HeldFolderSync } from './held-folder-sync.js'
import { RemainingPath } from './remaining-path.js'

/** A name, what is there, and the folder that it is in. The folder is to be closed. */
export interface FoundEntry {
  readonly folder: HeldFolderSync
  readonly name: string
  readonly found: Stats
}

/** The checks on the way down a path. Each throws to refuse the path. */
export interface SyncWalkRules {
  /** Called with each folder that is entered below another one. */
  readonly checkFolder: (found: Stats) => void
  /** Called before a symbolic link is followed. @param at the path of the link */
  readonly checkLink: (at: string, found: Stats) => void
  /** Whether a link at the end of the path stays the end: it is not followed. */
  readonly isEnd: (link: Stats) => boolean
}

/**
 * Walks down a path as `walkPath` does, where nothing can be waited for and folders can be held.
 * @param path absolute @throws {Error} of the rules @throws {Error} of the system where something is missing, or ELOOP
 */
export function walkPathSync(path: string, rules: SyncWalkRules): FoundEntry {
  const rest = new RemainingPath(path)
  let folder = HeldFolderSync.open('/')
  try {
    for (;;) {
      const { name, isLast } = rest
      const found = folder.find(name)
      if (found.isSymbolicLink()) {
        rules.checkLink(join(folder.path, name), found)
        if (isLast && rules.isEnd(found)) return { folder, name, found }
        if (rest.follow(readlinkSync(folder.at(name)))) folder = exchange(folder, HeldFolderSync.open('/'))
      } else if (isLast) {
        return { folder, name, found }
      } else {
        folder = exchange(folder, folder.openFolder(name))
        rules.checkFolder(folder.stat())
        rest.enter()
      }
    }
  } catch (error) {
    folder.close()
    throw error
  }
}

function exchange(former: HeldFolderSync, next: HeldFolderSync): HeldFolderSync {
  former.close()
  return next
}
