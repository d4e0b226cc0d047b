import { fstatSync, lstatSync, readlinkSync, realpathSync, statSync } from 'node:fs'
import { foldersAbove } from '../files/real-path.js'
import { descriptorPath, GONE } from '../folders/descriptors.js'
import { findGroups, groupsOf } from './system-users.js'
import { isReadable, replacersOf, type Writer, writersOf } from './writers.js'

/** A writer of a file that may have been changed by way of its path. */
export interface PathWriter extends Writer {
  /** The file, or the folder on the way to it, that they may change. */
  readonly path: string
}

/** The groups of users, each looked up once. To be dropped soon: they may change. */
export class UserGroups {
  readonly #byUid = new Map<number, readonly number[]>()

  /** @param find by default asks the system, and everything else waits for its answer */
  constructor(private readonly find: (uid: number) => readonly number[] = groupsOf) {}

  /** Looks up the groups of all users among writers, while everything else goes on. */
  static async ofWriters(writers: readonly Writer[]): Promise<UserGroups> {
    const groups = new UserGroups()
    for (const { uid } of writers) {
      if (uid !== undefined && !groups.#byUid.has(uid)) groups.#byUid.set(uid, await findGroups(uid))
    }
    return groups
  }

  of(uid: number): readonly number[] {
    const groups = this.#byUid.get(uid) ?? this.find(uid)
    this.#byUid.set(uid, groups)
    return groups
  }
}

/**
 * Finds those who may write a file that is open, or could have put it where it was opened, besides root. What is judged is what
 * is open, under the path that the system has for it by now: a name that was removed or exchanged meanwhile hides nobody.
 * Links are judged themselves. Needs /proc.
 * @throws {Error} where a folder on the way to it is gone
 */
export function writersOfOpened(fd: number): PathWriter[] {
  const itself = fstatSync(fd)
  const shown = readlinkSync(descriptorPath(fd))
  const path = itself.nlink === 0 && shown.endsWith(GONE) ? shown.slice(0, -GONE.length) : shown
  const ways = foldersAbove(path).map(folder => {
    const found = lstatSync(folder, { throwIfNoEntry: false })
    if (found === undefined) throw new Error(`${folder} was moved away while a file in it was read: try again`)
    return { path: folder, writers: replacersOf(found) }
  })
  return [{ path, writers: writersOf(itself) }, ...ways].flatMap(each =>
    each.writers.map(writer => ({ ...writer, path: each.path }))
  )
}

/**
 * Finds one of the writers of a file who may not read another one that it names.
 * @returns undefined where all may, or where there is none of that path
 */
export function findExcluded(
  path: string,
  writers: readonly PathWriter[],
  groups = new UserGroups()
): PathWriter | undefined {
  const real = writers.length === 0 ? undefined : realPathIfThere(path)
  if (real === undefined) return undefined
  const itself = statSync(real)
  const ways = foldersAbove(real).map(folder => statSync(folder))
  const mayRead = (writer: PathWriter) =>
    isReadable(itself, writer, itself.isDirectory() ? 'folder' : 'file', uid => groups.of(uid)) &&
    ways.every(found => isReadable(found, writer, 'folder', uid => groups.of(uid)))
  return writers.find(writer => !mayRead(writer))
}

function realPathIfThere(path: string): string | undefined {
  try {
    return realpathSync(path)
  } catch {
    return undefined // the code that reads it reports the error
  }
}
