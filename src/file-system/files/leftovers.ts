import { randomBytes } from 'node:crypto'
import { opendir, rm } from 'node:fs/promises'
import { errorCode } from '../../values/failures/system-error.js'
import type { HeldFolder } from '../folders/held-folder.js'

/** The time that a file has to be left alone, where its process cannot be seen: it may be one of another container. */
const QUIET_MS = 60_000
/** The same for a name without a process, as earlier versions gave it: none of them is at a file for so long. */
const NAMELESS_QUIET_MS = 24 * 60 * 60_000

/** Names of a folder that are looked through: one may have a million, and each file that is written there looks. */
export const MAX_NAMES_SEEN = 4_096
const NAMES_AT_ONCE = 256

/** A name beside a file that no one else uses in the same folder, and that says which process does. */
export function temporaryName(name: string): string {
  return `${beginOf(name)}${process.pid}-${randomBytes(6).toString('hex')}~`
}

/**
 * Removes what processes that have ended, however they did, left beside a file under names of {@link temporaryName}, as far as they are among
 * the first names of the folder. What cannot be removed is in nobody's way.
 */
export async function removeLeftovers(
  folder: HeldFolder,
  name: string,
  nowMs = Date.now(),
  maxNames = MAX_NAMES_SEEN
): Promise<void> {
  const begin = beginOf(name)
  for (const found of await namesBeginning(folder, begin, maxNames).catch(() => [])) {
    const made = /^(?:(?<pid>\d{1,10})-)?[0-9a-f]{12}~$/.exec(found.slice(begin.length))
    if (made !== null && (await isLeft(folder, found, made.groups?.pid, nowMs))) {
      await rm(folder.at(found), { force: true }).catch(() => undefined)
    }
  }
}

/** Finds names among the first ones of a folder, however long it is. */
async function namesBeginning(folder: HeldFolder, begin: string, maxNames: number): Promise<string[]> {
  const names: string[] = []
  let seen = 0
  for await (const { name } of await opendir(folder.at('.'), { bufferSize: NAMES_AT_ONCE })) {
    if (name.startsWith(begin)) names.push(name)
    seen += 1
    if (seen >= maxNames) break
  }
  return names
}

function beginOf(name: string): string {
  return `.${name.slice(0, 200)}.`
}

async function isLeft(folder: HeldFolder, name: string, ofPid: string | undefined, nowMs: number): Promise<boolean> {
  const found = await folder.find(name).catch(() => undefined)
  if (found?.isFile() !== true) return false
  if (ofPid === undefined) return found.ctimeMs < nowMs - NAMELESS_QUIET_MS
  return isLeftBy(Number(ofPid), found.ctimeMs, nowMs)
}

/** Whether something was left by the process of that id, which it was made for. @param changedAtMs when its status changed last */
export function isLeftBy(pid: number, changedAtMs: number, nowMs: number): boolean {
  // of a process with our id, which in a container each may have, that is what is older than this process
  const goneAtMs = pid === process.pid ? nowMs - process.uptime() * 1_000 : nowMs
  return (pid === process.pid || hasEnded(pid)) && changedAtMs < goneAtMs - QUIET_MS
}

function hasEnded(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return false
  } catch (error) {
    return errorCode(error) === 'ESRCH'
  }
}
