import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { RelayError } from '../values/relay-error.js'

export type FolderHashType = 'sha256' | 'sha512'

/** Hashes kept; the least recently used goes first. */
const MAX_CACHED_HASHES = 10_000

/** Files that an administrator puts into a folder for the nodes to take. */
export interface SharedFolder {
  /**
   * @param path below the folder, decoded
   * @returns the file's own path
   * @throws {RelayError} INVALID_INPUT for a path that could leave the folder, NOT_FOUND for anything but a file
   */
  locate(path: string): Promise<string>
  /** Hex. Computed by streaming, once however many ask, and kept while inode, size and modification time stay the same. */
  hash(path: string, type: FolderHashType): Promise<string>
}

export function createSharedFolder(root: string): SharedFolder {
  const hashes = new Map<string, string>()
  /** Of files that all nodes ask for at once, when they have changed. */
  const underWay = new Map<string, Promise<string>>()

  async function keepHash(identity: string, file: string, type: FolderHashType): Promise<string> {
    try {
      const hash = await hashFile(file, type)
      hashes.set(identity, hash)
      const oldest = hashes.keys().next()
      if (hashes.size > MAX_CACHED_HASHES && oldest.done !== true) hashes.delete(oldest.value)
      return hash
    } finally {
      underWay.delete(identity)
    }
  }

  return {
    async locate(path) {
      checkPath(path)
      const file = join(root, path)
      const info = await statOrMissing(file)
      if (info === undefined || !info.isFile()) throw notFound()
      return file
    },

    async hash(path, type) {
      checkPath(path)
      const file = join(root, path)
      const info = await statOrMissing(file)
      if (info === undefined || !info.isFile()) throw notFound()
      const identity = [type, info.dev, info.ino, info.size, info.mtimeNs, info.ctimeNs].join(':')
      const cached = hashes.get(identity)
      if (cached !== undefined) {
        hashes.delete(identity) // to the end of the map: used most recently
        hashes.set(identity, cached)
        return cached
      }
      const begun = underWay.get(identity) ?? keepHash(identity, file, type)
      underWay.set(identity, begun)
      return begun
    }
  }
}

function checkPath(path: string): void {
  const isSafe = path !== '' && !path.includes('\\') && !path.includes('\0') && !path.split('/').includes('..')
  if (!isSafe) {
    const shown = JSON.stringify(path.slice(0, 80))
    throw new RelayError('INVALID_INPUT', `invalid path: ${shown}; "..", backslash and NUL are not allowed`)
  }
}

function notFound(): RelayError {
  return new RelayError('NOT_FOUND', 'NOT FOUND')
}

async function statOrMissing(file: string) {
  try {
    return await stat(file, { bigint: true })
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENAMETOOLONG' || code === 'ELOOP') return undefined
    throw error
  }
}

async function hashFile(file: string, type: FolderHashType): Promise<string> {
  const hash = createHash(type)
  await pipeline(createReadStream(file), hash)
  return hash.digest('hex')
}
