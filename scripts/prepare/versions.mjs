// The bundle of each build has a folder of its own, named by what is in it, beside a `main.js` that starts the newest one. So a process keeps
// the files that it started with, which it may load much later, whatever is built meanwhile.
import { createHash } from 'node:crypto'
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync
} from 'node:fs'
import { basename, isAbsolute, join } from 'node:path'

/** Versions kept besides the newest one, for processes that cannot be seen to use them. */
const KEPT = 3
/** How far the start of a process and the time of a version may be off: clocks are set, and a build takes a while. */
const INEXACT_MS = 60_000
const TICKS_PER_SECOND = 100
const VERSION = /^[0-9a-f]{16}$/

/**
 * Builds a version aside, puts it in place by renaming, and removes old ones that nothing uses any more.
 * @param {string} outdir
 * @param {(folder: string) => Promise<unknown>} build writes `main.js` and what belongs to it into the folder
 */
export async function publishVersion(outdir, build) {
  mkdirSync(outdir, { recursive: true })
  const aside = join(outdir, `.building-${process.pid}`)
  rmSync(aside, { recursive: true, force: true })
  await build(aside)
  const version = digestOf(aside)
  const folder = join(outdir, version)
  if (statSync(folder, { throwIfNoEntry: false }) === undefined) renameSync(aside, folder)
  else rmSync(aside, { recursive: true })
  utimesSync(folder, new Date(), new Date())
  // npm packs the newest version alone.
  replaceFile(join(outdir, '.npmignore'), `/*\n!/main.js\n!/${version}/\n`, 0o644)
  replaceFile(join(outdir, 'main.js'), starterOf(version), 0o755)
  removeOthers(outdir, version)
}

/** The folder is held open for as long as the process runs: by that a later build sees that the version is in use. */
function starterOf(version) {
  return `#!/usr/bin/env node
import { openSync } from 'node:fs'
try {
  openSync(new URL('./${version}/', import.meta.url))
} catch {} // not every system opens folders
await import('./${version}/main.js')
`
}

function digestOf(folder) {
  const hash = createHash('sha256')
  for (const name of readdirSync(folder, { recursive: true }).sort()) {
    if (statSync(join(folder, name)).isFile()) hash.update(`${name}\0`).update(readFileSync(join(folder, name)))
  }
  return hash.digest('hex').slice(0, 16)
}

function replaceFile(file, text, mode) {
  const aside = `${file}.${process.pid}`
  writeFileSync(aside, text, { mode })
  renameSync(aside, file)
}

function removeOthers(outdir, version) {
  const names = readdirSync(outdir).filter(name => ![version, 'main.js', '.npmignore'].includes(name))
  for (const name of names.filter(other => !VERSION.test(other)))
    rmSync(join(outdir, name), { recursive: true, force: true })
  const versions = [version, ...names.filter(name => VERSION.test(name))].map(name => timesOf(outdir, name))
  const old = versions
    .slice(1)
    .sort((one, other) => other.lastMs - one.lastMs)
    .slice(KEPT)
  if (old.length === 0) return
  const { open, startsMs } = processesOf(outdir, new Set(old.map(({ name }) => name)))
  const kept = new Set(startsMs.flatMap(startMs => newestAt(startMs, versions)))
  for (const one of old) {
    const { dev, ino } = statSync(join(outdir, one.name))
    if (!open.has(`${dev}:${ino}`) && !kept.has(one)) rmSync(join(outdir, one.name), { recursive: true, force: true })
  }
}

/** When a version was put in place first, and last: one that is built again is the newest again. */
function timesOf(outdir, name) {
  const folder = join(outdir, name)
  const lastMs = statSync(folder).mtimeMs
  return { name, firstMs: statSync(join(folder, 'main.js'), { throwIfNoEntry: false })?.mtimeMs ?? lastMs, lastMs }
}

/** The version that was the newest one at that time, or those of which each may have been. */
function newestAt(ms, versions) {
  const before = limitMs => versions.filter(({ firstMs }) => firstMs <= limitMs)
  const surelyThereMs = Math.max(...before(ms - INEXACT_MS).map(({ firstMs }) => firstMs))
  return before(ms + INEXACT_MS).filter(({ lastMs }) => lastMs >= surelyThereMs)
}

/**
 * Who uses versions: the folders with these names that are held open, by processes of our own user, and for root by all. Of another user's
 * process that runs this program we see no more than when it started.
 */
function processesOf(outdir, names) {
  const open = new Set()
  const startsMs = []
  for (const pid of listing('/proc').filter(name => /^\d+$/.test(name))) {
    const folder = join('/proc', pid, 'fd')
    let fds = []
    try {
      fds = readdirSync(folder)
    } catch (error) {
      if (error.code === 'EACCES' && runsProgram(pid, outdir)) startsMs.push(startOf(pid))
    }
    for (const fd of fds) {
      const link = join(folder, fd)
      try {
        if (!names.has(basename(readlinkSync(link)))) continue
        const { dev, ino } = statSync(link)
        open.add(`${dev}:${ino}`)
      } catch {} // it has been closed meanwhile
    }
  }
  return { open, startsMs }
}

/** By its command line, in doubt yes: where a relative path leads is not seen. */
function runsProgram(pid, outdir) {
  const words = textOf(join('/proc', pid, 'cmdline')).split(/[\0\s]/)
  return words.some(word => {
    if (!/^(?:main\.js|treeline)$/.test(basename(word))) return false
    if (!isAbsolute(word)) return true
    try {
      return realpathSync(word) === realpathSync(join(outdir, 'main.js'))
    } catch {
      return true
    }
  })
}

/** In milliseconds since 1970; that of one that has ended meanwhile is before all versions. See proc(5). */
function startOf(pid) {
  const bootSeconds = Number(/^btime (\d+)$/m.exec(textOf('/proc/stat'))?.[1])
  const fields = textOf(join('/proc', pid, 'stat'))
    .split(') ')
    .at(-1)
    .split(' ')
  const startMs = (bootSeconds + Number(fields[19]) / TICKS_PER_SECOND) * 1000
  return Number.isNaN(startMs) ? 0 : startMs
}

function textOf(file) {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

function listing(folder) {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
