import type { Database } from 'better-sqlite3'

/** Writes that waited together are committed together, at most this many in one transaction. */
const MAX_GROUP = 256

interface Waiting {
  readonly work: () => void
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/**
 * Runs small writes of many requests in common transactions: with `synchronous = FULL` every commit is an fsync, and
 * one fsync serves all that came while the event loop was busy.
 *
 * @returns a function that runs `work` (synchronous, writes only) soon, and resolves once it is durable. When `work`
 * throws, only its own writes are undone, and its promise rejects.
 */
export function createGroupCommit(db: Database): (work: () => void) => Promise<void> {
  let queue: Waiting[] = []
  const attempt = db.transaction((work: () => void) => work())
  const commitAll = db.transaction((group: Waiting[]) =>
    group.map(waiting => {
      try {
        attempt(waiting.work)
        return waiting.resolve
      } catch (error) {
        return () => waiting.reject(error)
      }
    })
  )

  function flush(): void {
    const group = queue.slice(0, MAX_GROUP)
    queue = queue.slice(MAX_GROUP)
    if (queue.length > 0) setImmediate(flush)
    try {
      for (const settle of commitAll.immediate(group)) settle()
    } catch (error) {
      for (const waiting of group) waiting.reject(error)
    }
  }

  return work =>
    new Promise((resolve, reject) => {
      queue.push({ work, resolve, reject })
      if (queue.length === 1) setImmediate(flush)
    })
}
