import type { HeldFolder } from '../../file-system/folders/held-folder.js'
import { type FoundName, walkPath } from '../../file-system/folders/path-walk.js'
import { ROOT } from '../../file-system/permissions/root.js'
import { findUntrusted, isOfRootOr, replacersOf, writerName } from '../../file-system/permissions/writers.js'
import { ClientError } from '../../relay-client/client-error.js'

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
      if (isOwners || !isOfRootOr(uid, trust.uid)) throw notTrusted(path, `${at} is a link of user ${uid}`)
    },
    noFolder: (missing, isFile) =>
      new ClientError(
        isFile
          ? `${path} cannot be written: ${missing} is a file, not a folder; check the path`
          : `${path} cannot be written: there is no folder ${missing}; create it, or check the path`
      )
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
  const found = await folder.stat()
  const { uid, gid } = found
  const isOfOwner = uid !== ROOT && uid === trust.owner?.uid
  if (!isOfOwner && (isOwners || !isOfRootOr(uid, trust.uid))) {
    throw notTrusted(path, `the folder ${folder.path} belongs to user ${uid}`)
  }
  const isOfTheirGroup = gid !== ROOT && gid === trust.owner?.gid && (isLast || isOfOwner)
  const writer = findUntrusted(replacersOf(found), found, { uids: [uid], gids: isOfTheirGroup ? [gid] : [] })
  if (writer !== undefined) throw notTrusted(path, `${writerName(writer)} may write in the folder ${folder.path}`)
  return isOwners || isOfOwner
}

function notTrusted(path: string, why: string): ClientError {
  return new ClientError(
    `${path} is not written: ${why}, who could make it lead elsewhere; choose a folder of root's, or one of the file's owner`
  )
}
