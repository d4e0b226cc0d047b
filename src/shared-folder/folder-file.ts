import { realpath } from 'node:fs/promises'
import { type OpenedFile, openFound } from '../file-system/files/found-file.js'
import { isWithin } from '../file-system/files/real-path.js'
import { RelayError } from '../values/failures/relay-error.js'
import { errorCode } from '../values/failures/system-error.js'
import type { WithheldFiles } from './withheld-files.js'

/** A regular file that is open for reading. To be closed. */
export type FolderFile = OpenedFile

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
      const found = await openFound(file, async (path, stats) => {
        if (rules.withheld.has(path, stats)) throw withheld()
        if (!rules.followLinks() && !isWithin(await realpath(root), path)) throw outside()
        if (!stats.isFile()) throw notFound()
      })
      if (found !== undefined) return found
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

function outside(): RelayError {
  const text = 'a symbolic link leads out of the shared folder; shared_folder.follow_links = true serves such files'
  return new RelayError('FORBIDDEN', text)
}

function isAbsent(error: unknown): boolean {
  return ABSENT.has(errorCode(error) ?? '')
}
