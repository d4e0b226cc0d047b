import type { Stats } from 'node:fs'
import { resolve } from 'node:path'
import type { HeldFolder } from '../../file-system/folders/held-folder.js'
import { walkPath } from '../../file-system/folders/path-walk.js'
import { ROOT } from '../../file-system/permissions/root.js'
import { EVERYONE, isReadable, replacersOf, type Writer, writersOf } from '../../file-system/permissions/writers.js'
import { ClientError, InputError } from '../../relay-client/client-error.js'
import { openRegularFile, openRegularFileIn, type RegularFile } from './regular-file-place.js'

/** A user that could make a path lead elsewhere. */
interface Changer {
  /** The user; everyone instead of a group, whose bits may stand for the users and groups of an access control list. */
  readonly who: Writer
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
        if (!isReadable(stats, changer.who, 'folder')) throw notShared(path, changer, `the folder ${held.path}`)
      }
      changers.push(...changersOf(held, stats))
    },
    checkLink: ({ at, uid }) => {
      const [changer] = changers
      if (uid !== ROOT) throw refusal(path, `${at} is a link of user ${uid}`)
      if (changer !== undefined) throw refusal(path, `${at} is a link, and ${changer.why}`)
    },
    noFolder: (missing, isFile) => {
      const why = isFile ? `${missing} is a file, not a folder` : `there is no folder ${missing}`
      return new InputError(`${path} cannot be read: ${why}; check the path`)
    }
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
  for (const changer of changers)
    if (!isReadable(stats, changer.who, 'file')) throw notShared(path, changer, 'the file')
  // In a folder such as /tmp everyone can make a further name of a file of anyone's.
  const isShared = writersOf(await folder.stat()).some(({ uid }) => uid === undefined)
  if (isShared && stats.nlink > 1 && !isReadable(stats, EVERYONE, 'file')) {
    throw refusal(path, `others may write in the folder ${folder.path}, and the file has a further name`)
  }
}

function changersOf({ path }: HeldFolder, found: Stats): Changer[] {
  return replacersOf(found).map(({ uid }) =>
    uid === undefined
      ? { who: EVERYONE, why: `others than its owner may write in the folder ${path}` }
      : { who: { uid }, why: `the folder ${path} belongs to user ${uid}` }
  )
}

function notShared(path: string, { who: { uid }, why }: Changer, what: string): ClientError {
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
