import { type BigIntStats, constants } from 'node:fs'
import { type FileHandle, open, realpath, stat } from 'node:fs/promises'
import { sep } from 'node:path'
import { RelayError } from '../values/failures/relay-error.js'
import { errorCode } from '../values/failures/system-error.js'
import type { WithheldFiles } from './withheld-files.js'

const { O_NONBLOCK, O_RDONLY } = constants

/** A regular file that is open for reading. To be closed. */
export interface FolderFile {
  /** The path without symbolic links; the file may have another name by now. */
  readonly path: string
  readonly handle: FileHandle
  readonly stats: BigIntStats
}

/** The files that a shared folder gives. */
export interface FolderRules {
  /** Whether symbolic links may lead out of the folder. */
  readonly followLinks: () => boolean
  readonly withheld: Pick<WithheldFiles, 'has'>
}

/** The error codes for a file that does not exist; one with a name that is too long cannot exist either. */
const ABSENT: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP'])

/** A file that is replaced at each look is not there to be had. */
const MAX_LOOKS = 5

/**
 * Opens a file, which lies in `root` itself unless links are followed: where a symbolic link leads out, or is exchanged
 * for one meanwhile, nothing of what it leads to is read.
 * @throws {RelayError} NOT_FOUND, FORBIDDEN
 */
export async function openInside(root: string, file: string, rules: FolderRules): Promise<FolderFile> {
  try {
    for (let looks = 0; looks < MAX_LOOKS; looks += 1) {
      const path = await realPathOf(root, file, rules)
      if (!(await stat(path)).isFile()) throw notFound() // to open a device may do something
      const handle = await open(path, O_RDONLY | O_NONBLOCK)
      try {
        const stats = await handle.stat({ bigint: true })
        if (!stats.isFile()) throw notFound()
        if (rules.withheld.has(path, stats)) throw withheld()
        // What is open is what lies there, by a path that had no links when the file was open already.
        if (await isStill(stats, await realPathOf(root, file, rules))) return { path, handle, stats }
      } catch (error) {
        await handle.close()
        throw error
      }
      await handle.close()
    }
  } catch (error) {
    throw isAbsent(error) ? notFound() : error
  }
  throw notFound()
}

export function notFound(): RelayError {
  return new RelayError('NOT_FOUND', 'NOT FOUND')
}

function withheld(): RelayError {
  return new RelayError('FORBIDDEN', 'this is a file of the relay itself, which the shared folder gives to nobody')
}

async function realPathOf(root: string, file: string, { followLinks, withheld: files }: FolderRules): Promise<string> {
  const path = await realpath(file)
  if (files.has(path)) throw withheld()
  if (followLinks()) return path
  const top = await realpath(root)
  if (path.startsWith(top.endsWith(sep) ? top : top + sep)) return path
  const text = 'a symbolic link leads out of the shared folder; shared_folder.follow_links = true serves such files'
  throw new RelayError('FORBIDDEN', text)
}

async function isStill({ dev, ino }: BigIntStats, path: string): Promise<boolean> {
  const now = await stat(path, { bigint: true })
  return now.dev === dev && now.ino === ino
}

function isAbsent(error: unknown): boolean {
  return ABSENT.has(errorCode(error) ?? '')
}
