import { readdirSync, readFileSync } from 'node:fs'
import { join, sep } from 'node:path'

/** A file of the repository. */
export interface ReadFile {
  /** Relative to the repository. */
  readonly path: string
  readonly text: string
}

/** Reads the TypeScript files below a folder of the repository. */
export function readFolder(folder: string): readonly ReadFile[] {
  const root = new URL('../..', import.meta.url).pathname
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts'))
    .map(name => `${folder}/${name.split(sep).join('/')}`)
    .map(path => ({ path, text: readFileSync(join(root, path), 'utf8') }))
}
