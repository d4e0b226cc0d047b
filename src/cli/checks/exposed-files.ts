import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { PrivateFile } from '../../config/private-files.js'
import { ROOT } from '../../values/permissions/root.js'
import { isOfRootOr } from '../../values/permissions/writers.js'

const OF_OTHERS = 0o007
const OF_GROUP_AND_OTHERS = 0o077
const WRITING = 0o022
/** The bit by which a service reads what root lets it read: through the file's group. */
const GROUP_READS = 0o040

/**
 * @returns a warning for each file that its group or others may read or change, with what to do; none for what is not there.
 * An owner is another user unless it is root, whoever asks, or whose folder it lies in.
 */
export async function exposureWarnings(files: readonly PrivateFile[]): Promise<string[]> {
  const warnings = await Promise.all(files.map(file => exposureOf(file)))
  return warnings.filter(warning => warning !== undefined)
}

async function exposureOf({ key, path, isReadable = false }: PrivateFile): Promise<string | undefined> {
  const found = await stat(path).catch(() => undefined) // that it cannot be used is told where it is read
  if (found === undefined) return undefined
  const folder = await stat(dirname(path))
  if (!isOfRootOr(found.uid, process.geteuid?.(), folder.uid)) {
    const may = isReadable ? 'change' : 'read and change'
    return `${key} ${path} belongs to user ${found.uid}, who may ${may} it; chown root ${path}`
  }
  const tolerated = found.uid === ROOT ? GROUP_READS : 0
  const exposed = found.mode & (isReadable ? WRITING : OF_GROUP_AND_OTHERS & ~tolerated)
  if (exposed === 0) return undefined
  const who = (exposed & OF_OTHERS) === 0 ? 'its group' : 'every user of this machine'
  const what = (exposed & WRITING) === 0 ? 'read' : 'change'
  const mode = (found.mode & 0o777).toString(8).padStart(4, '0')
  const right = isReadable ? 'go-w' : tolerated === 0 || (found.mode & GROUP_READS) === 0 ? '600' : '640'
  return `${key} ${path} has mode ${mode}: ${who} may ${what} it; chmod ${right} ${path}`
}
