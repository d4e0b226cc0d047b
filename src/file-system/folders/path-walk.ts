import { readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { HeldFolder } from './held-folder.js'
import { makeOneFolder } from './make-folder.js'
import { RemainingPath } from './remaining-path.js'

/** A name, and the folder that it is in. The folder is to be closed. */
export interface FoundName {
  readonly folder: HeldFolder
  readonly name: string
}

/** A symbolic link on the way down a path. */
export interface FoundLink {
  /** The path of the entry. */
  readonly at: string
  readonly uid: number
  readonly target: string
  /** Whether it stands for the whole path, not for a folder in it. */
  readonly isEnd: boolean
}

/** The checks on the way down a path. Each throws to refuse the path. */
export interface WalkRules {
  /** @param isLast whether the last name of the path is in this one */
  readonly checkFolder?: (folder: HeldFolder, isLast: boolean) => Promise<void>
  /** Called before a symbolic link is followed. */
  readonly checkLink: (link: FoundLink) => void
  /**
   * @param isFile whether a file is there instead
   * @returns what is thrown where there is no folder `missing`; by default ENOENT or ENOTDIR, as a system call would fail
   */
  readonly noFolder?: (missing: string, isFile: boolean) => Error
  /** The mode with which folders on the way are made that are missing; undefined: none is made. */
  readonly makeMode?: number
  /** Whether the checks are all: where folders cannot be held, they are looked at by their paths. */
  readonly onlyLooks?: boolean
}

/**
 * Walks down a path name by name, each folder held open before the next one, so that what was looked at is what is used.
 * Symbolic links are followed, at the end of the path as well.
 * @param path absolute @throws {Error} of the rules @throws {Error} of the system (ENOENT, ELOOP), or where folders cannot be held
 */
export async function walkPath(path: string, rules: WalkRules): Promise<FoundName> {
  const rest = new RemainingPath(path)
  const root = () => HeldFolder.root(rules.onlyLooks !== true)
  let folder = await root()
  try {
    for (;;) {
      const { name } = rest
      const found = await folder.find(name)
      const isLink = found?.isSymbolicLink() === true
      const isLast = rest.isLast && !isLink
      await rules.checkFolder?.(folder, isLast)
      if (isLast) return { folder, name }
      if (isLink) {
        const target = await readlink(folder.at(name))
        rules.checkLink({ at: join(folder.path, name), uid: found.uid, target, isEnd: rest.isLast })
        if (rest.follow(target)) folder = await exchange(folder, root())
      } else if (found?.isDirectory() === true) {
        rest.enter()
        folder = await exchange(folder, folder.openFolder(name))
      } else if (found === undefined && rules.makeMode !== undefined) {
        await makeOneFolder(folder.at(name), rules.makeMode) // and looked at in the next round, as any other
      } else {
        throw (rules.noFolder ?? missingFolder)(join(folder.path, name), found !== undefined)
      }
    }
  } catch (error) {
    await folder.close()
    throw error
  }
}

function missingFolder(path: string, isFile: boolean): Error {
  if (isFile) return Object.assign(new Error(`ENOTDIR: ${path} is no folder`), { code: 'ENOTDIR', path })
  return Object.assign(new Error(`ENOENT: there is no folder ${path}`), { code: 'ENOENT', path })
}

async function exchange(former: HeldFolder, next: Promise<HeldFolder>): Promise<HeldFolder> {
  const opened = await next
  await former.close()
  return opened
}
