import { link, rename } from 'node:fs/promises'
import { FilePlace } from './places/file-place.js'
import { NewFile, removeIfThere, temporaryName } from './places/new-file.js'

const DEFAULT_MODE = 0o644

/** A file that was replaced, as long as the former one can still come back. One of both is to be called. */
export interface AtomicWrite {
  readonly path: string
  /** Gives up the former file. */
  keep(): Promise<void>
  /** Puts the former file back (or removes the new one, where there was none). */
  undo(): Promise<void>
}

/** Replaces a file at once and durably, with the mode of the former one: readers see the old content or the new. */
export async function writeAtomically(path: string, content: string): Promise<AtomicWrite> {
  const place = await FilePlace.open(path)
  const { folder, name } = place
  const former = place.former === undefined ? undefined : temporaryName(name)
  try {
    const file = await NewFile.create(place, true)
    try {
      await file.append(Buffer.from(content))
      if (former !== undefined) await link(folder.at(name), folder.at(former))
      await file.putInPlace({ defaultMode: DEFAULT_MODE })
    } catch (error) {
      await file.discard()
      if (former !== undefined) await removeIfThere(folder, former)
      throw error
    }
  } catch (error) {
    await place.close()
    throw error
  }
  const keep = async () => {
    if (former !== undefined) await removeIfThere(folder, former)
    await place.close()
  }
  const undo = async () => {
    if (former === undefined) await removeIfThere(folder, name)
    else await rename(folder.at(former), folder.at(name))
    await folder.sync()
    await place.close()
  }
  return { path, keep, undo }
}
