import type { Database } from 'better-sqlite3'
import { WriteAheadLog } from './write-ahead-log.js'

/** Writes that waited together are committed together, at most this many in one transaction. */
const MAX_GROUP = 256

/** Runs `work` (synchronous, writes only) soon, and resolves once it is durable. */
export type Commit = (work: () => void) => Promise<void>

interface Waiting {
  readonly work: () => void
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

const commits = new WeakMap<Database, Commit>()

/**
 * The small writes of many requests, in common transactions: one wait for the disk serves all that came during the one
 * before. The event loop does not wait for it.
 *
 * @param db of the `state` schema
 * @returns the same function for the same database. When a `work` throws, only its own writes are undone, and its
 * promise rejects.
 */
export function groupCommitOf(db: Database): Commit {
  let commit = commits.get(db)
  if (commit === undefined) {
    commit = createGroupCommit(db)
    commits.set(db, commit)
  }
  return commit
}

function createGroupCommit(db: Database): Commit {
  const log = new WriteAheadLog(db)
  let queue: Waiting[] = []
  let isWorking = false
  const attempt = db.transaction((work: () => void) => work())
  const commitAll = db.transaction((group: readonly Waiting[]) =>
    group.map(waiting => {
      try {
        attempt(waiting.work)
        return waiting.resolve
      } catch (error) {
        return () => waiting.reject(error)
      }
    })
  )

  async function commitGroup(group: readonly Waiting[]): Promise<void> {
    try {
      const settles = commitAll.immediate(group)
      await log.sync()
      for (const settle of settles) settle()
    } catch (error) {
      for (const waiting of group) waiting.reject(error)
    }
  }

  /** Never rejects. */
  async function commitQueue(): Promise<void> {
    while (queue.length > 0) {
      const group = queue.slice(0, MAX_GROUP)
      queue = queue.slice(MAX_GROUP)
      await commitGroup(group)
    }
    isWorking = false
  }

  return work =>
    new Promise((resolve, reject) => {
      queue.push({ work, resolve, reject })
      if (isWorking) return
      isWorking = true
      setImmediate(() => void commitQueue())
    })
}
