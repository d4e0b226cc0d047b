import { type BigIntStats, statSync } from 'node:fs'
import { isSameFile } from '../files/file-identity.js'

/**
 * Remembers which file or folder a path leads to now.
 * @returns tells whether it leads there still: not when that was removed or replaced, nor when its disk is not mounted any more
 */
export function rememberPlace(path: string): () => boolean {
  const before = find(path)
  return () => before !== undefined && isSameFile(before, find(path))
}

function find(path: string): BigIntStats | undefined {
  return statSync(path, { bigint: true, throwIfNoEntry: false })
}
