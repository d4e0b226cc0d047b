import { readFileSync } from 'node:fs'

/**
 * Whether a process still runs. One that has ended counts as ended also where nobody has asked for its exit code: in a container
 * the first process may never do so, and `kill -0` goes on to find it.
 */
export function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return stat.charAt(stat.lastIndexOf(')') + 2) !== 'Z'
  } catch {
    return false
  }
}
