import type { Stats } from 'node:fs'
import { renameDurably } from '../file-system/files/durable-file.js'
import { linkOrCopy } from '../file-system/files/hard-link-or-copy.js'
import { temporaryName } from '../file-system/files/leftovers.js'
import { ROOT } from '../file-system/permissions/root.js'
import { writersOf } from '../file-system/permissions/writers.js'
import { ClientError } from '../relay-client/client-error.js'
import { errorMessage } from '../values/failures/system-error.js'
import { FilePlace } from './places/file-place.js'
import { NewFile, removeIfThere } from './places/new-file.js'
import type { Owner } from './places/trusted-folder.js'

const DEFAULT_MODE = 0o644

/** A file that was replaced, as long as the former one can still come back. One of both is to be called. */
export interface AtomicWrite {
  readonly path: string
  /** Gives up the former file. */
  keep(): Promise<void>
  /** Puts the former file back (or removes the new one, where there was none). */
  undo(): Promise<void>
}

/**
 * Replaces a file at once and durably, with the mode of the former one, and its owner and group, which a service may read
 * it by: readers see the old content or the new. What processes left beside it that were killed at this is removed.
 * @throws {ClientError} that names the file
 */
export async function replaceContent(path: string, content: string): Promise<void> {
  const place = await FilePlace.open(path)
  try {
    await replace(place, content, undefined)
  } finally {
    await place.close()
  }
}

/** Replaces a file as {@link replaceContent} does, and keeps the former one beside it. */
export async function replaceWithUndo(path: string, content: string): Promise<AtomicWrite> {
  const place = await FilePlace.open(path)
  const { folder, name } = place
  const former = place.former === undefined ? undefined : temporaryName(name)
  try {
    await replace(place, content, former)
  } catch (error) {
    await place.close()
    throw error
  }
  const keep = async () => {
    if (former !== undefined) await removeIfThere(folder, former)
    await place.close()
  }
  const undo = async () => {
    if (former !== undefined) await renameDurably(folder, former, name)
    else {
      await removeIfThere(folder, name)
      await folder.sync()
    }
    await place.close()
  }
  return { path, keep, undo }
}

/** @param former the name under which the former file is kept */
async function replace(place: FilePlace, content: string, former: string | undefined): Promise<void> {
  const file = await NewFile.create(place, true)
  try {
    const owner = await keepOwner(place, file)
    await file.append(Buffer.from(content))
    if (former !== undefined) await keepFormer(place, former)
    await file.putInPlace({ defaultMode: DEFAULT_MODE, owner })
  } catch (error) {
    await file.discard()
    if (former !== undefined) await removeIfThere(place.folder, former)
    throw error
  }
}

async function keepFormer({ folder, name, path }: FilePlace, former: string): Promise<void> {
  try {
    await linkOrCopy(folder.at(name), folder.at(former))
  } catch (cause) {
    throw new ClientError(`no copy of ${path} can be kept beside it: ${errorMessage(folder.named(cause))}`, { cause })
  }
}

/**
 * Finds the owner of the former file that the new one is to have. Others than root can keep its group alone, where they are
 * in it; the file is given that at once.
 */
async function keepOwner({ folder, former }: FilePlace, file: NewFile): Promise<Owner | undefined> {
  if (former === undefined) return undefined
  const { uid, gid } = former
  const euid = process.geteuid?.()
  if (euid === ROOT) return uid === ROOT || isGivenByRoot(await folder.stat(), uid) ? { uid, gid } : undefined
  // Of a group that the caller is not in, the file cannot be: then it has the caller's own.
  if (uid === euid) await file.handle.chown(uid, gid).catch(() => undefined)
  return undefined
}

/** Whether nobody but root, and the owner of the folder, can have put a file of that user there. */
function isGivenByRoot(folder: Stats, owner: number): boolean {
  return folder.uid === owner || writersOf(folder).length === 0
}
