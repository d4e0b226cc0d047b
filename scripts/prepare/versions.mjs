// The bundle of each build has a folder of its own, named by what is in it, beside a `main.js` that starts the newest one. So a process keeps
// the files that it started with, which it may load much later, whatever is built meanwhile.
import { createHash } from 'node:crypto'
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync
} from 'node:fs'
import { basename, join } from 'node:path'

/** Versions kept besides the newest one, for processes that cannot be seen to use them. */
const KEPT = 3
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
  for (const name of readdirSync(folder).sort()) hash.update(`${name}\0`).update(readFileSync(join(folder, name)))
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
  const changedMs = name => statSync(join(outdir, name)).mtimeMs
  const old = names
    .filter(name => VERSION.test(name))
    .sort((one, other) => changedMs(other) - changedMs(one))
    .slice(KEPT)
  if (old.length === 0) return
  const used = openFolders(new Set(old))
  for (const name of old) {
    const { dev, ino } = statSync(join(outdir, name))
    if (!used.has(`${dev}:${ino}`)) rmSync(join(outdir, name), { recursive: true, force: true })
  }
}

/** Folders with these names that a process holds open: on Linux all those of our own user, and for root all. */
function openFolders(names) {
  const found = new Set()
  for (const pid of listing('/proc').filter(name => /^\d+$/.test(name))) {
    for (const fd of listing(join('/proc', pid, 'fd'))) {
      const link = join('/proc', pid, 'fd', fd)
      try {
        if (!names.has(basename(readlinkSync(link)))) continue
        const { dev, ino } = statSync(link)
        found.add(`${dev}:${ino}`)
      } catch {} // it has been closed meanwhile
    }
  }
  return found
}

function listing(folder) {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
