import type { Database } from 'better-sqlite3'
import { checkInPlace } from './database-file-check.js'

/** Writes that waited together are committed together, at most this many in one transaction. */
const MAX_GROUP = 256

/** The longest that writes wait for others because the commit before took long. */
const MAX_REST_MS = 10

interface Waiting {
  readonly work: () => void
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** Runs `work` (synchronous, writes only) soon, and resolves once it is durable. */
export type Commit = (work: () => void) => Promise<void>

const commits = new WeakMap<Database, Commit>()

/** The outcome of a commit: whether the disk took it, or what refused it. */
export interface CommitOutcome {
  /** The time by `performance.now()`. */
  readonly atMs: number
  readonly error?: unknown
}

const lastOutcomes = new WeakMap<Database, CommitOutcome>()

/** Finds the outcome of the last group of writes; undefined before the first one. A group that wrote nothing has none. */
export function lastOutcomeOf(db: Database): CommitOutcome | undefined {
  return lastOutcomes.get(db)
}

/**
 * The small writes of many requests, in common transactions: with `synchronous = FULL` every commit is an fsync, and
 * one fsync serves all that came while the event loop was busy.
 *
 * @returns the same function for the same database. When a `work` throws, only its own writes are undone, and its
 * promise rejects; where the disk refuses, those of the whole group are, and all their promises reject.
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
  let queue: Waiting[] = []
  let isScheduled = false
  /** A commit holds up everything else, so it may take at most about half of the time. */
  let restUntilMs = 0
  checkInPlace(db)
  const changes = db.prepare('SELECT total_changes()').pluck()
  const attempt = db.transaction((work: () => void) => work())
  const commitAll = db.transaction((group: Waiting[]) => {
    const changesBefore = changes.get()
    const settleAll = group.map(waiting => {
      try {
        attempt(waiting.work)
        return waiting.resolve
      } catch (error) {
        if (!db.inTransaction) throw error // SQLite has undone all of them, as where the disk is full
        return () => waiting.reject(error)
      }
    })
    return { settleAll, hasWritten: changes.get() !== changesBefore }
  })

  function flush(): void {
    isScheduled = false
    const group = queue.slice(0, MAX_GROUP)
    queue = queue.slice(MAX_GROUP)
    const startedAtMs = performance.now()
    try {
      checkInPlace(db)
      const { settleAll, hasWritten } = commitAll.immediate(group)
      if (hasWritten) lastOutcomes.set(db, { atMs: performance.now() })
      for (const settle of settleAll) settle()
    } catch (error) {
      lastOutcomes.set(db, { atMs: performance.now(), error })
      for (const waiting of group) waiting.reject(error)
    }
    const endedAtMs = performance.now()
    restUntilMs = endedAtMs + Math.min(MAX_REST_MS, endedAtMs - startedAtMs)
    if (queue.length > 0) schedule()
  }

  function schedule(): void {
    if (isScheduled) return
    isScheduled = true
    const restMs = restUntilMs - performance.now()
    if (restMs > 0) setTimeout(flush, Math.ceil(restMs))
    else setImmediate(flush)
  }

  return work =>
    new Promise((resolve, reject) => {
      queue.push({ work, resolve, reject })
      schedule()
    })
}
