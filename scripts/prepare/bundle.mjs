import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { basename, join } from 'node:path'
import { SetupError } from './setup-error.mjs'
import { publishVersion } from './versions.mjs'

/** What is started on its own: the command, and the programs of its threads and helper processes. */
const ENTRIES = [
  'main.ts',
  'tree/import/import-worker.ts',
  'tree-sync/subtree-check-worker.ts',
  'remote-run/execution/command-host-main.ts'
]

/**
 * These stay where npm put them, as better-sqlite3 does: bufferutil, whose addon is found beside its own files, and pino-pretty. A process
 * loads them at its start or never: node_modules may be removed beside it later, by an `npm ci`.
 */
const EXTERNAL = ['bufferutil', 'pino-pretty']

/** The files and folders that the program reads. */
export const READ = ['migrations', join('docs', 'openapi.json')]

/** Others that libraries try to load, and do well without. */
const OPTIONAL = ['utf-8-validate']

/** Packages that are not ES modules call `require`, which an ES module has to make for itself. */
const REQUIRE = `import { createRequire as treelineRequire } from 'node:module'
import { fileURLToPath as treelinePath } from 'node:url'
const require = treelineRequire(import.meta.url)
const __filename = treelinePath(import.meta.url)
const __dirname = treelinePath(new URL('.', import.meta.url))`

/** The names of a file's `import()` in the bundle: as long as `import`, so that the source maps stay right. */
const LATE = 'laters'
const LATE_IMPORTS = `import { lateImports as treelineLate } from './late-import.js'
const ${LATE} = treelineLate(import.meta.url)`

/**
 * Puts the program and what it imports into few files: an idle relay is 10 MB smaller and is ready in two thirds of the time, since Node reads
 * 300 modules less. `versions.mjs` says where they go.
 * @param outdir `dist/treeline` unless told otherwise
 * @param settings of esbuild, besides ours
 */
export async function bundle(root, outdir = join(root, 'dist', 'treeline'), settings = {}) {
  const { build } = await import('esbuild')
  await publishVersion(outdir, async folder => {
    await build({
      absWorkingDir: root,
      entryPoints: [join('src', 'process', 'late-import.ts')],
      outdir: folder,
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node20',
      logLevel: 'warning'
    })
    const { metafile } = await build({
      absWorkingDir: root,
      entryPoints: ENTRIES.map(entry => join('src', entry)),
      entryNames: '[name]',
      outdir: folder,
      bundle: true,
      splitting: true,
      platform: 'node',
      format: 'esm',
      target: 'node20',
      external: EXTERNAL,
      minifyWhitespace: true,
      minifySyntax: true,
      sourcemap: true,
      banner: { js: `${REQUIRE}\n${LATE_IMPORTS}` },
      logLevel: 'warning',
      metafile: true,
      ...settings
    })
    requireDependencies(root, metafile)
    for (const [path, output] of Object.entries(metafile.outputs)) replaceImports(join(root, path), output)
    copyReadFiles(root, folder)
  })
}

/**
 * Puts the files that the program reads beside it, as src/process/package-root.ts finds them: a process that reads those of the checkout
 * would have the migrations of a later version once that is checked out.
 */
function copyReadFiles(root, folder) {
  for (const path of READ) cpSync(join(root, path), join(folder, path), { recursive: true })
  const { name, version, type } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify({ name, version, type, private: true })}\n`)
}

/** Puts what src/process/late-import.ts gives in the place of each `import()` of the bundle's own files. */
function replaceImports(file, { imports }) {
  const late = imports
    .filter(({ kind, external }) => kind === 'dynamic-import' && !external)
    .map(({ path }) => basename(path))
  if (late.length === 0) return
  const replaced = new Set()
  const text = readFileSync(file, 'utf8').replace(/\bimport(\("\.\/([\w.-]+\.js)"\))/g, (_all, called, name) => {
    replaced.add(name)
    return `${LATE}${called}`
  })
  const left = late.filter(name => !replaced.has(name))
  if (left.length > 0) throw new SetupError(`${file} imports ${left.join(', ')} in a way that bundle.mjs does not know`)
  writeFileSync(file, text)
}

/** What the bundle imports from outside, and what it is told to leave there, npm has to install with it. */
function requireDependencies(root, { outputs }) {
  const imported = Object.values(outputs)
    .flatMap(({ imports }) => imports)
    .filter(({ external, path }) => external && !isBuiltin(path) && !path.startsWith('node:')) // some are newer than this Node
    .map(({ path }) => packageOf(path))
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const missing = [...new Set([...imported, ...EXTERNAL])].filter(
    name => dependencies[name] === undefined && !OPTIONAL.includes(name)
  )
  if (missing.length > 0)
    throw new SetupError(`the program imports packages that are no dependencies in package.json: ${missing.join(', ')}`)
}

function packageOf(path) {
  return path
    .split('/')
    .slice(0, path.startsWith('@') ? 2 : 1)
    .join('/')
}
