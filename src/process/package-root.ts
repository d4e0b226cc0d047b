import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * The folder of the files that the program reads: the one of `package.json` above this file, whether it runs from source or
 * compiled. A bundle has copies of its own beside it, which stay those of its version.
 */
export const PACKAGE_ROOT = findRoot(dirname(fileURLToPath(import.meta.url)))

function findRoot(folder: string): string {
  if (existsSync(join(folder, 'package.json'))) return folder
  const above = dirname(folder)
  if (above === folder) throw new Error('package.json is missing: Treeline is not installed as a whole')
  return findRoot(above)
}
