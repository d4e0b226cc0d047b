import { randomBytes } from 'node:crypto'
import { lstatSync, readdirSync, statSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { unmappedRoot } from '../../file-system/permissions/root.js'
import { isOfRootOr, writerProblem } from '../../file-system/permissions/writers.js'

/** The variable that names the folder of the sockets of running processes. */
export const RUN_FOLDER_VARIABLE = 'TREELINE_RUN_DIR'
const DEFAULT_RUN_FOLDER = '/tmp'

/**
 * The name of a socket. Its end is random, so nobody else, in a folder for all users, can take the name before the
 * process does.
 */
const SOCKET_NAME = /^treeline-(\d{1,10})-[0-9a-f]{16}\.sock$/
/** The longest path of a socket, in bytes (`sun_path` of Linux and its end; macOS has 4 less). */
const MAX_SOCKET_PATH_BYTES = 103

/** The socket of a process that is running, or was. */
export interface FoundProcessSocket {
  readonly path: string
  readonly pid: number
  /** Its owner. */
  readonly uid: number
  /** When it was made, in ms since 1970. */
  readonly madeAtMs: number
}

/** @throws {Error} naming the variable, where its value is no absolute path */
export function runFolder(env: NodeJS.ProcessEnv = process.env): string {
  const folder = env[RUN_FOLDER_VARIABLE] ?? ''
  if (folder === '') return DEFAULT_RUN_FOLDER
  if (isAbsolute(folder)) return folder
  throw new Error(`${RUN_FOLDER_VARIABLE} ${JSON.stringify(folder.slice(0, 80))}: expected an absolute path`)
}

/**
 * Refuses a folder of another user. Where everyone may write, as in a volume of Kubernetes, others could remove a socket,
 * but not pass one off as this user's: the command looks at its owner.
 * @throws {Error} naming the folder, also where there is none
 */
export function checkRunFolder(folder: string): void {
  const found = statSync(folder)
  if (!found.isDirectory()) throw new Error(`${folder} is no folder`)
  if (isOfRootOr(found.uid, process.geteuid?.(), unmappedRoot())) return
  throw new Error(`${folder} ${writerProblem(found)}: name a folder of this user's`)
}

/** @returns a path that nothing has yet @throws {Error} where the folder's own path is too long */
export function newSocketPath(folder: string, pid = process.pid): string {
  const path = join(folder, `treeline-${pid}-${randomBytes(8).toString('hex')}.sock`)
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES) return path
  throw new Error(`${path} is longer than ${MAX_SOCKET_PATH_BYTES} bytes, which no socket's path may be`)
}

/** The sockets of running and former processes, of all users. Links and other files with such a name are left out. */
export function findProcessSockets(folder: string): FoundProcessSocket[] {
  const sockets: FoundProcessSocket[] = []
  for (const name of readdirSync(folder)) {
    const [, pid] = SOCKET_NAME.exec(name) ?? []
    const path = join(folder, name)
    const found = pid === undefined ? undefined : lstatSync(path, { throwIfNoEntry: false })
    if (found?.isSocket() === true) sockets.push({ path, pid: Number(pid), uid: found.uid, madeAtMs: found.mtimeMs })
  }
  return sockets
}
