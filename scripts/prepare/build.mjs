import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { bundle, READ } from './bundle.mjs'
import { SetupError } from './setup-error.mjs'
import { runCommand, step } from './step.mjs'

/** Compiled into `dist`, each folder under its own name. */
const SOURCE_FOLDERS = ['src', 'demo', 'bench']
const SETTINGS = [
  'package.json',
  'tsconfig.json',
  'tsconfig.build.json',
  join('scripts', 'prepare', 'bundle.mjs'),
  join('scripts', 'prepare', 'versions.mjs'),
  join('node_modules', '.treeline-stamp')
]

/** Whether `dist` was compiled from the sources as they are now. */
export function isBuilt(root) {
  const stamp = stampFile(root)
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === fingerprint(root)
}

/** Compiles what changed, and removes what has no source any more. */
export async function build(root) {
  await step('compiling (tsc, esbuild)', async () => {
    // Taken before the compiler reads: what changes meanwhile is compiled the next time.
    const compiledFrom = fingerprint(root)
    removeOrphans(root)
    const tsc = join(root, 'node_modules', '.bin', 'tsc')
    const { code, output } = await runCommand(tsc, ['-p', 'tsconfig.build.json'], { cwd: root })
    if (code !== 0) throw new SetupError(`the sources do not compile:\n${output.trimEnd()}`)
    await bundle(root)
    writeFileSync(stampFile(root), compiledFrom)
  })
}

function stampFile(root) {
  return join(root, 'dist', '.stamp')
}

/** Names, sizes and times of all that is compiled, without reading it. */
function fingerprint(root) {
  const hash = createHash('sha256')
  for (const file of [...sources(root), ...READ.flatMap(path => filesBelow(root, path)), ...SETTINGS]) {
    const path = join(root, file)
    if (!existsSync(path)) continue
    const { mtimeMs, size } = statSync(path)
    hash.update(`${file}\0${mtimeMs}\0${size}\n`)
  }
  return hash.digest('hex')
}

function sources(root) {
  return SOURCE_FOLDERS.flatMap(folder => filesBelow(root, folder)).filter(file => file.endsWith('.ts'))
}

function removeOrphans(root) {
  let removed = false
  for (const folder of SOURCE_FOLDERS) {
    for (const file of filesBelow(join(root, 'dist'), folder)) {
      const source = file.replace(/\.js(\.map)?$/, '.ts')
      if (source === file || existsSync(join(root, source))) continue
      rmSync(join(root, 'dist', file))
      removed = true
    }
  }
  // The compiler trusts its notes about what it wrote, and would not write a removed file again.
  if (removed) rmSync(join(root, 'dist', '.tsbuildinfo'), { force: true })
}

function filesBelow(base, folder) {
  const found = statSync(join(base, folder), { throwIfNoEntry: false })
  if (found === undefined) return []
  if (found.isFile()) return [folder]
  return readdirSync(join(base, folder), { withFileTypes: true })
    .flatMap(entry => {
      const path = join(folder, entry.name)
      return entry.isDirectory() ? filesBelow(base, path) : [path]
    })
    .sort()
}
