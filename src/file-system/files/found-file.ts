import { type BigIntStats, constants } from 'node:fs'
import { type FileHandle, lstat, open, readlink, realpath, stat } from 'node:fs/promises'
import { CAN_HOLD, descriptorPath, GONE, O_PATH } from '../folders/descriptors.js'
import { isSameFile } from './file-identity.js'

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants

/** A file that is open for reading. To be closed. */
export interface OpenedFile {
  /** The path without symbolic links, at which it was when it was opened. */
  readonly path: string
  readonly handle: FileHandle
  readonly stats: BigIntStats
}

/** Called before anything is read, with what is open by then: throws to refuse it. */
export type JudgeFile = (path: string, stats: BigIntStats) => Promise<void>

/**
 * Opens what a path leads to, symbolic links followed, in a folder where another user may exchange files, folders and
 * links at any moment: what is judged is what is open, and by the path that the system has for it.
 * @returns undefined when it was replaced just then: it can be looked for again
 * @throws {Error} of `judge`, or of the system when there is nothing, or nothing that may be read
 */
export function openFound(path: string, judge: JudgeFile): Promise<OpenedFile | undefined> {
  return CAN_HOLD ? openByDescriptor(path, judge) : openByPath(path, judge)
}

async function openByDescriptor(asked: string, judge: JudgeFile): Promise<OpenedFile | undefined> {
  const found = await open(asked, O_PATH)
  try {
    const itself = descriptorPath(found.fd)
    const path = await readlink(itself)
    const stats = await found.stat({ bigint: true })
    if (path.endsWith(GONE) && !(await isAt(path, stats))) return undefined
    await judge(path, stats)
    return { path, handle: await open(itself, O_RDONLY | O_NONBLOCK), stats }
  } finally {
    await found.close()
  }
}

/** Looks at the path twice, where the system does not tell the path of what is open. */
async function openByPath(asked: string, judge: JudgeFile): Promise<OpenedFile | undefined> {
  const path = await realpath(asked)
  await judge(path, await stat(path, { bigint: true }))
  const handle = await open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW)
  try {
    const stats = await handle.stat({ bigint: true })
    await judge(path, stats)
    if ((await realpath(asked)) === path && (await isAt(path, stats))) return { path, handle, stats }
  } catch (error) {
    await handle.close()
    throw error
  }
  await handle.close()
  return undefined
}

async function isAt(path: string, found: BigIntStats): Promise<boolean> {
  return isSameFile(found, await lstat(path, { bigint: true }).catch(() => undefined))
}
