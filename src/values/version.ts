import { createRequire } from 'node:module'

/** `package.json` stands two levels above this file, three once compiled. */
function readVersion(): string {
  const require = createRequire(import.meta.url)
  const levelsUp = import.meta.url.includes('/dist/src/') ? '../../../' : '../../'
  const manifest: unknown = require(`${levelsUp}package.json`)
  if (typeof manifest === 'object' && manifest !== null && 'version' in manifest) return String(manifest.version)
  return '0.0.0'
}

/** Treeline's version, as in `package.json`. */
export const VERSION = readVersion()
