import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { IS_COMPILED, NATIVE } from './native.mjs'
import { SetupError } from './setup-error.mjs'
import { runCommand, step } from './step.mjs'
import { howToInstall, missingTools, nodeHeadersFolder } from './toolchain.mjs'

/** Whether `node_modules` is what package-lock.json says, compiled for this Node. */
export function isInstalled(root) {
  return readText(stampFile(root)) === wantedStamp(root)
}

/** Brings `node_modules` up to date, doing no more than is needed. */
export async function install(root) {
  if (!isLockInstalled(root)) await step('installing packages (npm ci)', say => npmCi(root, say))
  else if (IS_COMPILED && !nativeLoads(root)) {
    await step(`compiling ${NATIVE} for Node ${process.version}`, () => rebuild(root))
  }
  if (IS_COMPILED && !nativeLoads(root)) {
    await step(`compiling ${NATIVE}, whose install script did not run`, () => rebuild(root))
  }
  const problem = loadNative(root)
  if (problem !== '') throw new SetupError(`${NATIVE} cannot be loaded:\n${problem}\n${advice()}`)
  writeFileSync(stampFile(root), wantedStamp(root))
}

async function npmCi(root, say) {
  say(() => describe(root))
  // Where SQLite comes ready-made nothing is compiled, so neither is the package for Node 20.
  const scripts = IS_COMPILED ? [] : ['--ignore-scripts']
  const { code, output } = await runCommand('npm', ['ci', '--no-audit', '--no-fund', ...scripts], {
    cwd: root,
    env: buildEnvironment()
  })
  if (code !== 0) throw new SetupError(`npm ci failed:\n${lastLines(output)}\n${advice()}`)
}

async function rebuild(root) {
  const { code, output } = await runCommand('npm', ['rebuild', NATIVE], { cwd: root, env: buildEnvironment() })
  if (code !== 0) throw new SetupError(`npm rebuild ${NATIVE} failed:\n${lastLines(output)}\n${advice()}`)
}

/** With all tools at hand compile at once, without asking another host for a ready-made binary first. */
function buildEnvironment() {
  const env = { ...process.env }
  const headers = nodeHeadersFolder()
  if (headers !== undefined) env.npm_config_nodedir = headers
  if (missingTools().length === 0) env.npm_config_build_from_source = 'better-sqlite3'
  return env
}

function describe(root) {
  const folder = join(root, 'node_modules', NATIVE)
  if (existsSync(join(folder, 'build', 'Release', 'obj.target')))
    return `compiling ${NATIVE}, which takes about a minute`
  return `${countOf(join(root, 'node_modules'))} packages unpacked so far`
}

function countOf(folder) {
  return existsSync(folder) ? readdirSync(folder).filter(name => !name.startsWith('.')).length : 0
}

function advice() {
  const missing = missingTools()
  if (IS_COMPILED && missing.length > 0) return howToInstall(missing)
  return 'Is the package registry reachable? `npm ci --foreground-scripts` shows all of it.'
}

/** Packages that npm itself noted as installed, against those that are wanted: true also after a plain `npm ci`. */
function isLockInstalled(root) {
  const installed = parse(readText(join(root, 'node_modules', '.package-lock.json')))?.packages
  const wanted = parse(readText(join(root, 'package-lock.json')))?.packages
  if (installed === undefined || wanted === undefined) return false
  return Object.entries(wanted).every(
    ([path, entry]) => path === '' || entry.optional === true || installed[path]?.version === entry.version
  )
}

function nativeLoads(root) {
  return loadNative(root) === ''
}

/** In a process of its own: a binary of another Node may end the one that loads it. */
function loadNative(root) {
  const script = `new (require('${NATIVE}'))(':memory:').close()`
  const { status, stderr } = spawnSync(process.execPath, ['-e', script], { cwd: root, encoding: 'utf8' })
  return status === 0 ? '' : lastLines(stderr) || `exit code ${status}`
}

function stampFile(root) {
  return join(root, 'node_modules', '.treeline-stamp')
}

function wantedStamp(root) {
  const hash = createHash('sha256')
  for (const name of ['package.json', 'package-lock.json']) hash.update(readText(join(root, name)) ?? '').update('\0')
  return `${hash.digest('hex')} ${process.platform}-${process.arch} node ABI ${process.versions.modules}\n`
}

function readText(file) {
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined
}

function parse(text) {
  try {
    return text === undefined ? undefined : JSON.parse(text)
  } catch {
    return undefined
  }
}

function lastLines(text) {
  return text.trimEnd().split('\n').slice(-25).join('\n')
}
