import type { FileHash } from '../../storage/shared-file-store.js'

/** About 15 MB at most. */
const MAX_ENTRIES = 50_000

/**
 * Hashes of files that were asked for lately, so that HEAD, which every agent sends all day, need not go to SQLite.
 * It stays true because whoever changes a row calls {@link HeadCache.forget} after the change: this process alone
 * writes them.
 */
export interface HeadCache {
  /** @returns undefined when it is not known, which does not mean that there is no such file */
  get(name: string): FileHash | undefined
  set(name: string, file: FileHash): void
  forget(name: string): void
}

export function createHeadCache(maxEntries = MAX_ENTRIES): HeadCache {
  const entries = new Map<string, FileHash>()
  return {
    get: name => entries.get(name),
    set: (name, file) => {
      if (entries.size >= maxEntries && !entries.has(name)) {
        const [oldest] = entries.keys()
        if (oldest !== undefined) entries.delete(oldest)
      }
      entries.set(name, file)
    },
    forget: name => void entries.delete(name)
  }
}
