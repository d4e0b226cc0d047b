import { randomBytes } from 'node:crypto'
import { chmod, link, open, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { errorCode } from './command-error.js'

/** A file that was replaced, as long as the former one can still come back. One of both is to be called. */
export interface PutInPlace {
  readonly path: string
  /** Gives up the former file. */
  keep(): Promise<void>
  /** Puts the former file back (or removes the new one, where there was none). */
  undo(): Promise<void>
}

/** Replaces a file at once and durably, with the mode of the former one: readers see the old content or the new. */
export async function putInPlace(path: string, content: string): Promise<PutInPlace> {
  const temporary = temporaryBeside(path)
  const former = temporaryBeside(path)
  try {
    await writeDurably(temporary, content)
    const mode = await modeOf(path)
    if (mode !== undefined) await chmod(temporary, mode)
    if (mode !== undefined) await link(path, former)
    await rename(temporary, path)
    await syncFolder(dirname(path))
    const keep = () => rm(former, { force: true })
    const undo = async () => {
      if (mode === undefined) await rm(path, { force: true })
      else await rename(former, path)
      await syncFolder(dirname(path))
    }
    return { path, keep, undo }
  } catch (error) {
    await rm(temporary, { force: true })
    await rm(former, { force: true })
    throw error
  }
}

/** A name in the same folder that no one else uses. */
export function temporaryBeside(path: string): string {
  return join(dirname(path), `.${basename(path).slice(0, 200)}.${randomBytes(6).toString('hex')}~`)
}

/** Makes names in a folder survive a power cut. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

async function writeDurably(path: string, content: string): Promise<void> {
  const file = await open(path, 'wx', 0o644)
  try {
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
}

async function modeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).mode & 0o7777
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  }
}
