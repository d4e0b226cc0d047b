// Makes a checkout ready to run: installs the packages and compiles, each only when something changed.
// Plain Node without dependencies, because it runs before there are any.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, isBuilt } from './prepare/build.mjs'
import { install, isInstalled } from './prepare/install.mjs'
import { withLock } from './prepare/lock.mjs'
import { SetupError } from './prepare/setup-error.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))

try {
  requireNode()
  if (!(isInstalled(root) && isBuilt(root))) {
    // Looked at again under the lock: whoever held it before may have done the work.
    await withLock(join(root, 'dist', '.prepare.lock'), async () => {
      if (!isInstalled(root)) await install(root)
      if (!isBuilt(root)) await build(root)
    })
  }
} catch (error) {
  if (!(error instanceof SetupError)) throw error
  console.error(`\nprepare: ${error.message}`)
  process.exitCode = 1
}

function requireNode() {
  const { engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const wanted = engines.node.match(/\d+/g).map(Number)
  const found = process.versions.node.split('.').map(Number)
  const isOld = found[0] < wanted[0] || (found[0] === wanted[0] && found[1] < (wanted[1] ?? 0))
  if (isOld)
    throw new SetupError(`Treeline needs Node ${engines.node}, and this is ${process.version}: install a newer one.`)
}
