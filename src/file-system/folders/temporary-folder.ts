import { lstatSync, opendirSync, rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { errorCode, errorMessage } from '../../values/failures/system-error.js'
import { isLeftBy, MAX_NAMES_SEEN } from '../files/leftovers.js'

const ENDING = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const

const FULL = 'there is no room left'
const WHY: Readonly<Record<string, string>> = {
  ENOSPC: FULL,
  EDQUOT: FULL,
  EROFS: 'it is on a file system that is read-only',
  EACCES: 'this user may not write there',
  EPERM: 'this user may not write there',
  ENOENT: 'it is not there',
  ENOTDIR: 'it is no folder'
}

/**
 * Makes a folder for this user alone, and removes it at the end of `work`, also where a signal ends the process. For a
 * program that leaves these signals to their default action. What killed processes left goes before.
 * @param name that the name of the folder begins with
 * @throws {Error} that names the folder for temporary files, where none can be made
 */
export async function withTemporaryFolder<T>(name: string, work: (folder: string) => Promise<T>): Promise<T> {
  removeLeft(name)
  const folder = await mkdtemp(join(tmpdir(), `${name}-${process.pid}-`)).catch((error: unknown) => {
    throw new Error(temporaryProblem(errorCode(error), error), { cause: error })
  })
  const remove = () => rmSync(folder, { recursive: true, force: true })
  const end = (signal: NodeJS.Signals) => {
    remove()
    process.kill(process.pid, signal) // its handler is gone by now
  }
  for (const signal of ENDING) process.once(signal, end)
  try {
    return await work(folder)
  } finally {
    for (const signal of ENDING) process.off(signal, end)
    remove()
  }
}

/** Why a temporary file cannot be made. @param code of the system */
export function temporaryProblem(code: string | undefined, error: unknown): string {
  const why = WHY[code ?? ''] ?? errorMessage(error)
  return `no temporary file can be made in ${tmpdir()}: ${why}; TMPDIR names another folder`
}

/** Removes the folders of this user whose processes have ended without doing so. Nobody else can put one of theirs there. */
function removeLeft(name: string): void {
  try {
    const names = opendirSync(tmpdir())
    try {
      for (let seen = 0; seen < MAX_NAMES_SEEN; seen += 1) {
        const entry = names.readSync()
        if (entry === null) return
        if (entry.name.startsWith(`${name}-`))
          removeIfLeft(entry.name.slice(name.length + 1), join(tmpdir(), entry.name))
      }
    } finally {
      names.closeSync()
    }
  } catch {
    // what is wrong with the folder is told where something is made in it
  }
}

/** @param rest of its name, behind that of all */
function removeIfLeft(rest: string, path: string): void {
  const pid = /^(\d{1,10})-\w+$/.exec(rest)?.[1]
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (pid === undefined || found?.isDirectory() !== true || found.uid !== process.geteuid?.()) return
  if (isLeftBy(Number(pid), found.ctimeMs, Date.now())) rmSync(path, { recursive: true, force: true })
}
