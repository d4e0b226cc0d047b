import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { RelayError } from '../values/failures/relay-error.js'
import { untilAborted } from '../values/time/until-aborted.js'
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
  /**
   * Hex. Computed by streaming, once however many ask, and kept while inode, size and modification time stay the same.
   * @param signal of a caller that has left, or of a stop: without callers the computation ends
   */
  hash(path: string, type: FolderHashType, signal: AbortSignal): Promise<string>
}

/** A hash that is being computed. */
interface Computation {
  readonly hash: Promise<string>
  callers: number
  /** Ends it. */
  readonly ending: AbortController
}

export function createSharedFolder(root: string, rules: FolderRules): SharedFolder {
  const hashes = new Map<string, string>()
  /** The hashes that are being computed, of files that all nodes ask for at once when they have changed. */
  const underWay = new Map<string, Computation>()

  async function keepHash(identity: string, hashing: Promise<string>): Promise<string> {
    const hash = await hashing
    hashes.set(identity, hash)
    const oldest = hashes.keys().next()
    if (hashes.size > MAX_CACHED_HASHES && oldest.done !== true) hashes.delete(oldest.value)
    return hash
  }

  function begin(identity: string, file: FolderFile, type: FolderHashType): Computation {
    const ending = new AbortController()
    const hash = keepHash(identity, hashFile(file, type, ending.signal))
    const begun: Computation = { hash, callers: 0, ending }
    underWay.set(identity, begun)
    const forget = () => {
      if (underWay.get(identity) === begun) underWay.delete(identity)
    }
    hash.then(forget, forget)
    return begun
  }

  async function awaitHash(identity: string, computation: Computation, signal: AbortSignal): Promise<string> {
    computation.callers += 1
    try {
      return await untilAborted(computation.hash, signal)
    } finally {
      computation.callers -= 1
      if (computation.callers === 0 && underWay.get(identity) === computation) {
        underWay.delete(identity) // who asks from now on begins anew
        computation.ending.abort()
      }
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

    async hash(path, type, signal) {
      const file = await openAt(path)
      const { handle, stats } = file
      const identity = [type, stats.dev, stats.ino, stats.size, stats.mtimeNs, stats.ctimeNs].join(':')
      const cached = hashes.get(identity)
      if (cached !== undefined) {
        hashes.delete(identity) // to the end of the map: used most recently
        hashes.set(identity, cached)
        await handle.close()
        return cached
      }
      const known = underWay.get(identity)
      // Counted as a caller in this turn: it could lose the others, and so end, while the file is closed.
      const hash = awaitHash(identity, known ?? begin(identity, file, type), signal)
      const [found] = await Promise.all([hash, known === undefined ? undefined : handle.close()])
      return found
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

/** Hashes a file as long as it was when it was opened: one that grows as fast as it is read has no end. Closes it. */
async function hashFile({ handle, stats }: FolderFile, type: FolderHashType, signal: AbortSignal): Promise<string> {
  try {
    const hash = createHash(type)
    const end = Math.min(Number(stats.size), Number.MAX_SAFE_INTEGER) - 1
    if (end >= 0) await pipeline(createReadStream('', { fd: handle, autoClose: false, end }), hash, { signal })
    return hash.digest('hex')
  } finally {
    await handle.close()
  }
}
