import { statSync } from 'node:fs'

/**
 * Remembers which file or folder a path leads to now.
 * @returns tells whether it leads there still: not when that was removed or replaced, nor when its disk is not mounted any more
 */
export function rememberPlace(path: string): () => boolean {
  const before = identityOf(path)
  return () => before !== undefined && identityOf(path) === before
}

function identityOf(path: string): string | undefined {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false })
  return found === undefined ? undefined : `${found.dev}:${found.ino}`
}
