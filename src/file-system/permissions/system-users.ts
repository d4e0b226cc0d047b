import { execFile, execFileSync } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** How long the system may take to name a user or groups: it may ask a directory over the network. */
const NAMING_LIMIT_MS = 2_000

/** The number of a user; undefined where the system knows none of that name, or does not say in time. The system is waited for, and all else waits. */
export function userIdOf(name: string): number | undefined {
  return askSystem('-u', name)[0]
}

/** The number of the own group of a user, as {@link userIdOf} finds that of the user. */
export function groupIdOf(userName: string): number | undefined {
  return askSystem('-g', userName)[0]
}

/** The groups of a user; none where the system does not know the user, or not in time. The system is waited for, and all else waits. */
export function groupsOf(uid: number): number[] {
  return askSystem('-G', String(uid))
}

/** The same as {@link groupsOf}, while everything else goes on. */
export async function findGroups(uid: number): Promise<number[]> {
  try {
    const { stdout } = await run('id', ['-G', String(uid)], { timeout: NAMING_LIMIT_MS, killSignal: 'SIGKILL' })
    return numbersIn(stdout)
  } catch {
    return []
  }
}

function askSystem(option: '-u' | '-g' | '-G', user: string): number[] {
  try {
    const text = execFileSync('id', [option, user], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      killSignal: 'SIGKILL',
      timeout: NAMING_LIMIT_MS
    })
    return numbersIn(text)
  } catch {
    return []
  }
}

function numbersIn(text: string): number[] {
  return text.match(/\d+/g)?.map(Number) ?? [] // `Number('')` would be root
}
