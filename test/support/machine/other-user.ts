import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, cp, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { type Ended, startProcess, temporaryFolder } from './treeline-command.js'

const CHECKOUT = fileURLToPath(new URL('../../../', import.meta.url))
/** The packages that the bundle leaves where npm put them, and what these need. */
const PACKAGES = [
  'better-sqlite3',
  'better-sqlite3-node20',
  'bindings',
  'file-uri-to-path',
  'bufferutil',
  'node-gyp-build'
]

/** Runs `treeline` in the way of `how`, such as `setpriv --reuid=1`. */
export type RunTreeline = (how: readonly string[], args: readonly string[]) => Promise<Ended>

/** Copies the program to where every user may read it: a checkout, and Node, may be in a folder of their owner alone. */
export async function copyForOthers(t: TestContext): Promise<RunTreeline> {
  const folder = await temporaryFolder(t)
  await chmod(folder, 0o755)
  await mkdir(join(folder, 'node_modules'))
  for (const path of ['dist/treeline', ...PACKAGES.map(name => `node_modules/${name}`)]) {
    const from = join(CHECKOUT, path)
    if (existsSync(from)) await cp(from, join(folder, path), { recursive: true })
  }
  const node = join(folder, 'node')
  await cp(process.execPath, node)
  await promisify(execFile)('chmod', ['-R', 'a+rX', folder])
  return (how, args) => {
    const [first = '', ...rest] = [...how, node, join(folder, 'dist/treeline/main.js'), ...args]
    return startProcess(t, first, rest, {}).ended
  }
}
