import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { RelayError } from '../values/failures/relay-error.js'
import { type FolderFile, type FolderRules, openInside } from './folder-file.js'

export type FolderHashType = 'sha256' | 'sha512'

/** Hashes kept; the least recently used goes first. */
const MAX_CACHED_HASHES = 10_000

/** Files that an administrator puts into a folder for the nodes to take. */
export interface SharedFolder {
  /**
   * @param path below the folder, decoded
   * @returns the file, open, which the caller closes
   * @throws {RelayError} INVALID_INPUT for a path that could leave the folder, NOT_FOUND for anything but a file,
   * FORBIDDEN for one to which a symbolic link leads out, or that the relay keeps to itself
   */
  open(path: string): Promise<FolderFile>
  /** Whether {@link open} would give a file. @throws {RelayError} as it does */
  check(path: string): Promise<void>
  /** Hex. Computed by streaming, once however many ask, and kept while inode, size and modification time stay the same. */
  hash(path: string, type: FolderHashType): Promise<string>
}

export function createSharedFolder(root: string, rules: FolderRules): SharedFolder {
  const hashes = new Map<string, string>()
  /** The hashes that are being computed, of files that all nodes ask for at once when they have changed. */
  const underWay = new Map<string, Promise<string>>()

  async function keepHash(identity: string, file: FileHandle, type: FolderHashType): Promise<string> {
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

  function openAt(path: string): Promise<FolderFile> {
    checkPath(path)
    return openInside(root, join(root, path), rules)
  }

  return {
    open: async path => openAt(path),

    async check(path) {
      await (await openAt(path)).handle.close()
    },

    async hash(path, type) {
      const { handle, stats } = await openAt(path)
      const identity = [type, stats.dev, stats.ino, stats.size, stats.mtimeNs, stats.ctimeNs].join(':')
      const cached = hashes.get(identity)
      if (cached !== undefined) {
        hashes.delete(identity) // to the end of the map: used most recently
        hashes.set(identity, cached)
      }
      const known = cached ?? underWay.get(identity)
      if (known !== undefined) {
        await handle.close()
        return known
      }
      const begun = keepHash(identity, handle, type)
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

/** Closes the file. */
async function hashFile(handle: FileHandle, type: FolderHashType): Promise<string> {
  try {
    const hash = createHash(type)
    await pipeline(createReadStream('', { fd: handle, autoClose: false }), hash)
    return hash.digest('hex')
  } finally {
    await handle.close()
  }
}
