import { readdir } from 'node:fs/promises'
import { basename } from 'node:path'
import { isMissing } from '../../values/failures/system-error.js'
import type { FileLayout } from './file-layout.js'

/** Records of files, as far as they can be counted. */
interface Counted {
  totals(): Promise<{ readonly count: number }>
}

/**
 * Checks that the folder is the one of the records. A relay that was here has left its folders: without them all that is
 * recorded would count as removed.
 * @throws {Error} when the folder seems to be another one, as where its disk is not mounted
 */
export async function checkHasFolders(
  { root, incoming, outbox }: FileLayout,
  records: { readonly files: Counted; readonly outbox: Counted }
): Promise<void> {
  const recorded = (await records.files.totals()).count + (await records.outbox.totals()).count
  if (recorded === 0) return
  const names = new Set(await namesIn(root))
  if (names.has(basename(incoming)) || names.has(basename(outbox))) return
  throw new Error(
    `shared_files.path (${root}) is not the folder that it was: ${recorded} files are recorded, and it has no ${basename(incoming)}. Is its disk mounted? If these files are to be given up, make the folder ${incoming}, and start again`
  )
}

/** The names in a folder that the start makes where it is not there. */
async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}
