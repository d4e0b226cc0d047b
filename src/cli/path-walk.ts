import type { Stats } from 'node:fs'
import { readlink } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'
import { CommandError } from './command-error.js'
import { HeldFolder } from './held-folder.js'

/** A name, and the folder that it is in. The folder is to be closed. */
export interface FoundName {
  readonly folder: HeldFolder
  readonly name: string
}

/** What is looked at on the way down a path. Each throws to refuse the path. */
export interface WalkRules {
  /** @param isLast whether the last name of the path is in this one */
  readonly checkFolder?: (folder: HeldFolder, isLast: boolean) => Promise<void>
  /** Before a symbolic link is followed. */
  readonly checkLink: (link: string, stats: Stats, target: string) => void
  /** @returns what is thrown where there is no folder `missing` */
  readonly noFolder: (missing: string) => CommandError
}

const MAX_SYMBOLIC_LINKS = 40

/**
 * Walks down a path name by name, each folder held open before the next one, so that what was looked at is what is used.
 * Symbolic links are followed, at the end of the path as well.
 * @param path absolute @throws {CommandError} of the rules @throws {Error} where folders cannot be held
 */
export async function walkPath(path: string, rules: WalkRules): Promise<FoundName> {
  let names = namesOf(path)
  let folder = await HeldFolder.root()
  let links = 0
  try {
    for (;;) {
      const [name = '.', ...rest] = names
      const found = await folder.find(name)
      const isLink = found?.isSymbolicLink() === true
      const isLast = rest.length === 0 && !isLink
      await rules.checkFolder?.(folder, isLast)
      if (isLast) return { folder, name }
      if (isLink) {
        const target = await readlink(folder.at(name))
        rules.checkLink(join(folder.path, name), found, target)
        links += 1
        if (links > MAX_SYMBOLIC_LINKS) throw new CommandError(`${path} has too many symbolic links in it`)
        names = [...namesOf(target), ...rest]
        if (isAbsolute(target)) folder = await exchange(folder, HeldFolder.root())
      } else if (found?.isDirectory() === true) {
        names = rest
        folder = await exchange(folder, folder.openFolder(name))
      } else {
        throw rules.noFolder(join(folder.path, name))
      }
    }
  } catch (error) {
    await folder.close()
    throw error
  }
}

async function exchange(former: HeldFolder, next: Promise<HeldFolder>): Promise<HeldFolder> {
  const opened = await next
  await former.close()
  return opened
}

function namesOf(path: string): string[] {
  return path.split('/').filter(name => name !== '' && name !== '.')
}
