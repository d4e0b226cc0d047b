import { constants } from 'node:fs'
import { ClientError } from '../../relay-client/client-error.js'
import { STICKY } from '../../values/folders/closed-folder.js'
import type { HeldFolder } from '../../values/folders/held-folder.js'
import { type FoundName, walkPath } from '../../values/folders/path-walk.js'

/** A user and a group, by number. */
export interface Owner {
  readonly uid: number
  readonly gid: number
}

/** The users into whose folders a process that may write everywhere may put a file. */
export interface FolderTrust {
  /** The user that is trusted besides root. */
  readonly uid: number
  /**
   * The user that the file is for: folders of theirs are as good, from the first one on, since the file will be
   * theirs as well.
   */
  readonly owner?: Owner | undefined
}

const ROOT = 0

/**
 * The folder of a path, when nobody but those who are trusted can make the path lead elsewhere.
 * @param path absolute
 * @throws {ClientError} that names the folder or link that somebody else could change
 */
export async function findTrusted(path: string, trust: FolderTrust): Promise<FoundName> {
  let isOwners = false
  return walkPath(path, {
    checkFolder: async (folder, isLast) => {
      isOwners = await checkFolder(path, folder, { trust, isOwners, isLast })
    },
    checkLink: ({ at, uid }) => {
      if (isOwners || !isRootOr(trust.uid, uid)) throw notTrusted(path, `${at} is a link of user ${uid}`)
    },
    noFolder: missing =>
      new ClientError(`${path} cannot be written: there is no folder ${missing}; create it, or check the path`)
  })
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
    // The bits of a group may stand for the users of an access control list, those of root's group as well.
    const isOfTheirGroup = gid !== ROOT && gid === trust.owner?.gid && (isLast || isOfOwner)
    if ((mode & constants.S_IWGRP) !== 0 && !isOfTheirGroup) {
      throw notTrusted(path, `group ${gid} may write in the folder ${folder.path}`)
    }
  }
  return isOwners || isOfOwner
}

function isRootOr(trusted: number, uid: number): boolean {
  return uid === ROOT || uid === trusted
}

function notTrusted(path: string, why: string): ClientError {
  return new ClientError(
    `${path} is not written: ${why}, who could make it lead elsewhere; choose a folder of root's, or one of the file's owner`
  )
}
