import type { Stats } from 'node:fs'
import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { PrivateFile } from '../../../config/private-files.js'
import { isPrivileged, ROOT } from '../../../file-system/permissions/root.js'
import { isOfRootOr } from '../../../file-system/permissions/writers.js'

const OF_OTHERS = 0o007
const OF_GROUP_AND_OTHERS = 0o077
const WRITING = 0o022
/** The bit by which a service reads what root lets it read: through the file's group. */
const GROUP_READS = 0o040

/**
 * @returns a warning for each file that its group or others may read or change, with what to do; none for what is not there.
 * An owner is another user unless it is root, whoever asks, or whose folder it lies in: the one who would run this, but
 * for root, whom nobody else may give orders.
 * @param user who runs this, or will, where that is known
 */
export async function exposureWarnings(files: readonly PrivateFile[], user?: number): Promise<string[]> {
  const warnings = await Promise.all(files.map(file => exposureOf(file, user)))
  return warnings.filter(warning => warning !== undefined)
}

/** @returns the warnings of {@link exposureWarnings} at a start of root's, as far as they are about files of other users */
export async function foreignFileWarnings(
  files: readonly PrivateFile[],
  euid = process.geteuid?.()
): Promise<string[]> {
  if (!isPrivileged(euid)) return []
  const warnings = await Promise.all(
    files.map(async file => {
      const found = await findFile(file)
      return found === undefined ? undefined : ownerWarning(file, found, ROOT)
    })
  )
  return warnings.filter(warning => warning !== undefined)
}

async function ownerWarning(
  { key, path, isReadable = false }: PrivateFile,
  { uid }: Stats,
  user: number | undefined
): Promise<string | undefined> {
  const ofFolder = user === ROOT && isPrivileged(user) ? undefined : (await stat(dirname(path))).uid
  if (isOfRootOr(uid, process.geteuid?.(), ofFolder)) return undefined
  const may = isReadable ? 'change' : 'read and change'
  return `${key} ${path} belongs to user ${uid}, who may ${may} it; chown root ${path}`
}

/** Finds a file; that it cannot be used is told where it is read. */
function findFile({ path }: PrivateFile): Promise<Stats | undefined> {
  return stat(path).catch(() => undefined)
}

async function exposureOf(file: PrivateFile, user: number | undefined): Promise<string | undefined> {
  const { key, path, isReadable = false } = file
  const found = await findFile(file)
  if (found === undefined) return undefined
  const ofOthers = await ownerWarning(file, found, user)
  if (ofOthers !== undefined) return ofOthers
  const tolerated = found.uid === ROOT ? GROUP_READS : 0
  const exposed = found.mode & (isReadable ? WRITING : OF_GROUP_AND_OTHERS & ~tolerated)
  if (exposed === 0) return undefined
  const who = (exposed & OF_OTHERS) === 0 ? 'its group' : 'every user of this machine'
  const what = (exposed & WRITING) === 0 ? 'read' : 'change'
  const mode = (found.mode & 0o777).toString(8).padStart(4, '0')
  const right = isReadable ? 'go-w' : tolerated === 0 || (found.mode & GROUP_READS) === 0 ? '600' : '640'
  return `${key} ${path} has mode ${mode}: ${who} may ${what} it; chmod ${right} ${path}`
}
