import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

const POLL_MS = 200

/**
 * Runs `work` while no other process does under the same lock file. A lock whose process has gone is taken over.
 * @param {string} file
 * @param {() => Promise<void>} work
 */
export async function withLock(file, work) {
  mkdirSync(dirname(file), { recursive: true })
  await acquire(file)
  try {
    await work()
  } finally {
    rmSync(file, { force: true })
  }
}

async function acquire(file) {
  let announced = 0
  for (;;) {
    if (tryTake(file)) return
    const holder = read(file)
    if (holder !== undefined && !isAlive(holder)) {
      breakLock(file, holder)
      continue
    }
    if (announced === 0) console.log(`waiting: another process prepares this checkout (process ${pidOf(holder)})`)
    if (announced > 0 && announced % 50 === 0) console.log(`still waiting for process ${pidOf(holder)}`)
    announced += 1
    await delay(POLL_MS)
  }
}

/** The content comes with the name, in one step: nobody sees an empty lock. */
function tryTake(file) {
  const mine = `${file}.${process.pid}`
  writeFileSync(mine, `${process.pid} ${startTime(process.pid)}`)
  try {
    linkSync(mine, file)
    return true
  } catch (error) {
    if (error.code === 'EEXIST') return false
    throw error
  } finally {
    rmSync(mine, { force: true })
  }
}

/** Moves the dead lock away; if it was replaced by a living one in between, that one is put back. */
function breakLock(file, holder) {
  const aside = `${file}.stale.${process.pid}`
  try {
    renameSync(file, aside)
    if (read(aside) !== holder) linkSync(aside, file)
  } catch (error) {
    if (error.code !== 'ENOENT' && error.code !== 'EEXIST') throw error
  } finally {
    rmSync(aside, { force: true })
  }
}

function read(file) {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (error.code === 'ENOENT') return undefined
    throw error
  }
}

function pidOf(holder) {
  return holder?.split(' ')[0] ?? 'unknown'
}

function isAlive(holder) {
  const [pid, started] = holder.split(' ')
  try {
    process.kill(Number(pid), 0)
  } catch (error) {
    if (error.code === 'ESRCH') return false
  }
  return startTime(pid) === started
}

/** Tells a process from a later one with the same id; empty where there is no /proc. */
function startTime(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  } catch {
    return ''
  }
}
