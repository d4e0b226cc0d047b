import { execFile } from 'node:child_process'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { obstacleTo } from '../../values/files/make-folder.js'
import { UsageError } from '../command-error.js'

const ROOT = 0
/** Whose keys these are can be in the tree, and who may write in the folder decides what is in it. */
const IN_IT = ['.', 'tls.key', 'sign.key', 'certificate.pem', 'state.db', 'main.conf', 'agent.conf']

const run = promisify(execFile)

/**
 * Lets root set something up only in folders that belong to root, or to the users that it will be run as.
 * @param users names of them; one that the system does not know is nobody yet
 * @throws {UsageError} names what belongs to somebody else
 */
export async function refuseForeign(
  folders: readonly string[],
  users: readonly string[],
  euid = process.geteuid?.()
): Promise<void> {
  if (euid !== ROOT) return // whoever else has no more rights than the owner of the folder gave
  const trusted = [ROOT, ...(await Promise.all(users.map(numberOf)))]
  for (const path of folders.flatMap(folder => IN_IT.map(name => join(folder, name)))) {
    const found = await stat(path).catch(() => undefined) // what is not there is made, or cannot be and says so
    if (found === undefined || trusted.includes(found.uid)) continue
    throw new UsageError(
      `${path} belongs to user ${found.uid}, who could change what is kept there: choose a folder of root's, or name its owner with --user`
    )
  }
}

/**
 * Looks for what is in the way of folders, before anything is made.
 * @param folders with the option that leads to each
 * @throws {UsageError}
 */
export function refuseObstructed(folders: readonly (readonly [option: string, folder: string])[]): void {
  for (const [option, folder] of folders) {
    const obstacle = obstacleTo(folder)
    if (obstacle !== undefined) throw new UsageError(`${option}: ${obstacle}; choose another one`)
  }
}

async function numberOf(user: string): Promise<number | undefined> {
  const { stdout } = await run('id', ['-u', user]).catch(() => ({ stdout: '' }))
  return stdout.trim() === '' ? undefined : Number(stdout)
}
