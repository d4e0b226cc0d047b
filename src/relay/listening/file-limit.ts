import { readFileSync } from 'node:fs'

/** Files that the process itself needs, at least: the log, databases, files of callers, commands, connections of its own. */
const LEAST_RESERVE = 64
/** The connections that are left where the limit has hardly room for the process. */
const LEAST = 16

/**
 * The number of connections of a listener that this process may have open and still do its work: with one that takes all descriptors, nobody's
 * file could be opened, and no command started.
 * @param wanted by the configuration @param limit of open files, `undefined` where the system does not tell
 */
export function connectionsWithin(wanted: number, limit = fileLimit()): number {
  if (limit === undefined) return wanted
  const reserve = Math.max(LEAST_RESERVE, Math.ceil(limit / 4))
  return Math.min(wanted, Math.max(LEAST, limit - reserve))
}

/** How many files this process may have open (Linux). */
function fileLimit(): number | undefined {
  try {
    const found = /^Max open files +(\d+) /m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
    return found === undefined ? undefined : Number(found)
  } catch {
    return undefined
  }
}
