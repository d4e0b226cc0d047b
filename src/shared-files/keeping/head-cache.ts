import type { FileHash } from './file-repository.js'

/** The number of entries, about 15 MB at most. */
const MAX_ENTRIES = 50_000

/**
 * Hashes of files that were asked for lately, so that HEAD, which every agent sends all day, need not go to the
 * repository. It stays true because whoever changes a record calls {@link HeadCache.forget} after the change.
 */
export interface HeadCache {
  /** @returns undefined when it is not known, which does not mean that there is no such file */
  get(name: string): FileHash | undefined
  set(name: string, file: FileHash): void
  /** Has `find` look for a file, and remembers what it found, unless the file was changed meanwhile. */
  lookUp(name: string, find: () => Promise<FileHash | undefined>): Promise<FileHash | undefined>
  forget(name: string): void
}

export function createHeadCache(maxEntries = MAX_ENTRIES): HeadCache {
  const entries = new Map<string, FileHash>()
  /** The latest look-up under each name; one that is not here any more found what may have changed since. */
  const underWay = new Map<string, object>()

  function set(name: string, file: FileHash): void {
    underWay.delete(name)
    if (entries.size >= maxEntries && !entries.has(name)) {
      const [oldest] = entries.keys()
      if (oldest !== undefined) entries.delete(oldest)
    }
    entries.set(name, file)
  }

  return {
    get: name => entries.get(name),
    set,
    async lookUp(name, find) {
      const mine = {}
      underWay.set(name, mine)
      try {
        const file = await find()
        if (file !== undefined && underWay.get(name) === mine) set(name, file)
        return file
      } finally {
        if (underWay.get(name) === mine) underWay.delete(name)
      }
    },
    forget(name) {
      underWay.delete(name)
      entries.delete(name)
    }
  }
}
