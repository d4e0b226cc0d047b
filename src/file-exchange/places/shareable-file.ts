import { constants, type Stats } from 'node:fs'
import { resolve } from 'node:path'
import { ClientError, InputError } from '../../relay-client/client-error.js'
import { STICKY } from '../../values/folders/closed-folder.js'
import type { HeldFolder } from '../../values/folders/held-folder.js'
import { walkPath } from '../../values/folders/path-walk.js'
import { openRegularFile, openRegularFileIn, type RegularFile } from './regular-file-place.js'

const { S_IROTH, S_IWGRP, S_IWOTH, S_IXOTH } = constants
const ROOT = 0

/** A user that could make a path lead elsewhere. */
interface Changer {
  /** Undefined: a group or everyone. Bits of a group may stand for the users and groups of an access control list. */
  readonly uid: number | undefined
  /** The reason, as a message says it. */
  readonly why: string
}

/**
 * Opens a file that is given away, mostly unasked and time after time. A process of root could be led to any file by whoever may write
 * in a folder on the way: it shares with that path only what they could read without it, and follows no links of theirs.
 * @throws {ClientError} that names the folder, link or file
 */
export async function openShareable(path: string, euid = process.geteuid?.()): Promise<RegularFile> {
  if (euid !== ROOT) return openRegularFile(path)
  const changers: Changer[] = []
  const { folder, name } = await walkPath(resolve(path), {
    checkFolder: async held => {
      const stats = await held.stat()
      for (const changer of changers) {
        if (!mayUse(changer, stats, S_IXOTH)) throw notShared(path, changer, `the folder ${held.path}`)
      }
      changers.push(...changersOf(held, stats))
    },
    checkLink: ({ at, uid }) => {
      const [changer] = changers
      if (uid !== ROOT) throw refusal(path, `${at} is a link of user ${uid}`)
      if (changer !== undefined) throw refusal(path, `${at} is a link, and ${changer.why}`)
    },
    noFolder: missing => new InputError(`${path} cannot be read: there is no folder ${missing}; check the path`)
  })
  try {
    const file = await openRegularFileIn(folder, name)
    try {
      await checkFile(path, folder, file.stats, changers)
      return file
    } catch (error) {
      await file.handle.close()
      throw error
    }
  } finally {
    await folder.close()
  }
}

async function checkFile(path: string, folder: HeldFolder, stats: Stats, changers: readonly Changer[]): Promise<void> {
  for (const changer of changers) if (!mayUse(changer, stats, S_IROTH)) throw notShared(path, changer, 'the file')
  // In a folder such as /tmp everyone can make a further name of a file of anyone's.
  const isShared = ((await folder.stat()).mode & (S_IWGRP | S_IWOTH)) !== 0
  if (isShared && stats.nlink > 1 && (stats.mode & S_IROTH) === 0) {
    throw refusal(path, `others may write in the folder ${folder.path}, and the file has a further name`)
  }
}

/** @param bit what everyone would need */
function mayUse({ uid }: Changer, stats: Stats, bit: number): boolean {
  return (uid !== undefined && stats.uid === uid) || (stats.mode & bit) !== 0
}

function changersOf({ path }: HeldFolder, { uid, mode }: Stats): Changer[] {
  const changers: Changer[] = []
  if (uid !== ROOT) changers.push({ uid, why: `the folder ${path} belongs to user ${uid}` })
  const isOpen = (mode & STICKY) === 0 && (mode & (S_IWGRP | S_IWOTH)) !== 0
  if (isOpen) changers.push({ uid: undefined, why: `others than its owner may write in the folder ${path}` })
  return changers
}

function notShared(path: string, { uid, why }: Changer, what: string): ClientError {
  return refusal(
    path,
    `${why}, and ${what} is ${uid === undefined ? 'not open to everyone' : 'neither theirs nor open to everyone'}`
  )
}

function refusal(path: string, why: string): ClientError {
  return new ClientError(
    `${path} is not shared: ${why}, so that it could lead to a file that is not meant; name a file in a folder of root's, or run treeline as its owner`
  )
}
