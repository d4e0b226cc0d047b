import { constants } from 'node:fs'
import { readlink } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'
import { CommandError } from './command-error.js'
import { HeldFolder } from './held-folder.js'

/** A user and a group, by number. */
export interface Owner {
  readonly uid: number
  readonly gid: number
}

/** Whose folders a file may be put into by a process that may write everywhere. */
export interface FolderTrust {
  /** Besides root. */
  readonly uid: number
  /** Whom the file is for: folders of theirs are as good, from the first one on, since the file will be theirs as well. */
  readonly owner?: Owner | undefined
}

const ROOT = 0
const MAX_SYMBOLIC_LINKS = 40
/** Of a folder: only the owner of a file in it, and the folder's, can rename or remove that. Node has no name for it. */
const STICKY = 0o1000

/**
 * The folder of a path, when nobody but those who are trusted can make the path lead elsewhere. It is walked down name by
 * name, each folder held open before the next one, so that what was looked at is what is used.
 * @param path absolute, without `.` and `..`
 * @throws {CommandError} that names the folder or link that somebody else could change
 */
export async function findTrusted(path: string, trust: FolderTrust): Promise<{ folder: HeldFolder; name: string }> {
  let names = namesOf(path)
  let folder = await HeldFolder.root()
  let isOwners = false
  let links = 0
  try {
    for (;;) {
      const [name = '.', ...rest] = names
      const found = await folder.find(name)
      const isLink = found?.isSymbolicLink() === true
      const isLast = rest.length === 0 && !isLink
      isOwners = await checkFolder(path, folder, { trust, isOwners, isLast })
      if (isLast) return { folder, name }
      if (isLink) {
        const link = join(folder.path, name)
        if (isOwners || !isRootOr(trust.uid, found.uid))
          throw notTrusted(path, `${link} is a link of user ${found.uid}`)
        links += 1
        if (links > MAX_SYMBOLIC_LINKS) throw new CommandError(`${path} has too many symbolic links in it`)
        const target = await readlink(folder.at(name))
        names = [...namesOf(target), ...rest]
        if (isAbsolute(target)) folder = await exchange(folder, HeldFolder.root())
      } else if (found?.isDirectory() === true) {
        names = rest
        folder = await exchange(folder, folder.openFolder(name))
      } else {
        const missing = join(folder.path, name)
        throw new CommandError(`${path} cannot be written: there is no folder ${missing}; create it, or check the path`)
      }
    }
  } catch (error) {
    await folder.close()
    throw error
  }
}

interface Step {
  readonly trust: FolderTrust
  /** Whether a folder above belongs to whom the file is for. */
  readonly isOwners: boolean
  /** Whether the file goes into this one. */
  readonly isLast: boolean
}

/** @returns whether it, or one above, belongs to whom the file is for, who could have put there what is in it */
async function checkFolder(path: string, folder: HeldFolder, { trust, isOwners, isLast }: Step): Promise<boolean> {
  const { uid, gid, mode } = await folder.stat()
  const isOfOwner = uid !== ROOT && uid === trust.owner?.uid
  if (!isOfOwner && (isOwners || !isRootOr(trust.uid, uid))) {
    throw notTrusted(path, `the folder ${folder.path} belongs to user ${uid}`)
  }
  if ((mode & STICKY) === 0) {
    if ((mode & constants.S_IWOTH) !== 0) throw notTrusted(path, `everyone may write in the folder ${folder.path}`)
    const isOfTheirGroup = gid === trust.owner?.gid && (isLast || isOfOwner)
    if ((mode & constants.S_IWGRP) !== 0 && gid !== ROOT && !isOfTheirGroup) {
      throw notTrusted(path, `group ${gid} may write in the folder ${folder.path}`)
    }
  }
  return isOwners || isOfOwner
}

function isRootOr(trusted: number, uid: number): boolean {
  return uid === ROOT || uid === trusted
}

async function exchange(former: HeldFolder, next: Promise<HeldFolder>): Promise<HeldFolder> {
  const opened = await next
  await former.close()
  return opened
}

function namesOf(path: string): string[] {
  return path.split('/').filter(name => name !== '' && name !== '.')
}

function notTrusted(path: string, why: string): CommandError {
  return new CommandError(
    `${path} is not written: ${why}, who could make it lead elsewhere; choose a folder of root's, or one of the file's owner`
  )
}
