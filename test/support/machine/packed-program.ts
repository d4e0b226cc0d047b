import assert from 'node:assert/strict'
import { copyFileSync, existsSync, linkSync, mkdirSync, readdirSync } from 'node:fs'
import { readFile, rename } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { TestContext } from 'node:test'
import { startProcess, temporaryFolder } from './treeline-command.js'

const ROOT = join(import.meta.dirname, '../../..')

export interface InstalledProgram {
  /** The folder of the package. */
  readonly folder: string
  /** The file that is started. */
  readonly main: string
  /** The folder with the files of this version, and its name. */
  readonly version: string
  readonly name: string
}

/**
 * Installs what `npm pack` packs into an empty folder. No registry is asked: what package-lock.json names for a program that is installed, and
 * no tool of development, comes from this checkout, as files and not as symbolic links.
 */
export async function installPacked(t: TestContext): Promise<InstalledProgram> {
  const top = await temporaryFolder(t)
  const run = async (program: string, args: readonly string[]) => {
    const { code, stderr } = await startProcess(t, program, args, {}).ended
    assert.equal(code, 0, `${program}: ${stderr}`)
  }
  await run('npm', ['pack', '--ignore-scripts', '--offline', '--pack-destination', top])
  const [tarball = ''] = readdirSync(top)
  await run('tar', ['-xzf', join(top, tarball), '-C', top])
  mkdirSync(join(top, 'node_modules'))
  const folder = join(top, 'node_modules/treeline')
  await rename(join(top, 'package'), folder)
  const { packages } = JSON.parse(await readFile(join(ROOT, 'package-lock.json'), 'utf8'))
  for (const path of Object.keys(packages)) {
    const isWanted = /^node_modules\/(@[^/]+\/)?[^/]+$/.test(path) && packages[path].dev !== true
    if (isWanted && existsSync(join(ROOT, path))) linkFiles(join(ROOT, path), join(top, path))
  }
  const main = join(folder, 'dist/treeline/main.js')
  const packed = readdirSync(dirname(main), { withFileTypes: true }).filter(entry => entry.isDirectory())
  assert.equal(packed.length, 1, 'one version is packed')
  const version = join(dirname(main), packed[0]?.name ?? '')
  return { folder, main, version, name: basename(version) }
}

/** Quicker than copies, where both are on one file system. */
function linkFiles(from: string, to: string): void {
  mkdirSync(to, { recursive: true })
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)]
    if (entry.isDirectory()) linkFiles(source, target)
    else linkOrCopy(source, target)
  }
}

function linkOrCopy(source: string, target: string): void {
  try {
    linkSync(source, target)
  } catch {
    copyFileSync(source, target)
  }
}

/** The names that our own sources take out of packages that they load when they are first needed. */
export async function readLateImports(): Promise<
  readonly { readonly from: string; readonly names: readonly string[] }[]
> {
  const all = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
  const files = all.filter(name => name.endsWith('.ts'))
  const texts = await Promise.all(files.map(name => readFile(join(ROOT, 'src', name), 'utf8')))
  const found = texts.flatMap(text => [
    ...text.matchAll(/(?:\{([^{}]*)\} = )?(?:await|return) import\('([^.'][^']*)'\)/g)
  ])
  assert.ok(found.length > 2)
  return found.map(([, names = '', from = '']) => ({
    from,
    names: names
      .split(',')
      .map(name => (name.split(':')[0] ?? '').trim())
      .filter(name => name !== '')
  }))
}
