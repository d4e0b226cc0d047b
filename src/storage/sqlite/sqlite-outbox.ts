import type {
  DueEntries,
  EntryCounts,
  OutboxAttempt,
  OutboxRepository
} from '../../shared-files/forwarding/outbox-repository.js'
import type { ListedFile, QueuedFile } from '../../shared-files/keeping/file-record.js'
import type { SourceLimit, Totals } from '../../shared-files/keeping/file-repository.js'
import type { FileKey } from '../../values/ids.js'
import type { Database } from '../sqlite-engine/database.js'
import { type Commit, groupCommitOf } from '../sqlite-engine/group-commit.js'
import type { Claims } from './claims.js'
import { createSourceCounter, type SourceCounter } from './source-limit.js'
import { toListedFile, toOutboxRow, toQueuedFile } from './statements/outbox-rows.js'
import { dueIds, type OutboxStatements, outboxStatements } from './statements/outbox-statements.js'

/** Entries that one step of a retry of all makes due. */
const MADE_DUE_AT_ONCE = 500

type Adding = { readonly replacing: QueuedFile | undefined } & SourceLimit

/**
 * @param db the state database; closed by the caller
 * @param claims on entries, of this process
 */
export function createOutboxRepository(db: Database, claims: Claims): OutboxRepository {
  return new SqliteOutbox(outboxStatements(db), createSourceCounter(db), groupCommitOf(db), claims)
}

class SqliteOutbox implements OutboxRepository {
  constructor(
    private readonly sql: OutboxStatements,
    private readonly sources: SourceCounter,
    private readonly commit: Commit,
    private readonly claims: Claims
  ) {}

  async add(entry: QueuedFile, instead: Adding): Promise<'added' | 'changed' | 'too-many'> {
    let outcome = 'changed' as 'added' | 'changed' | 'too-many'
    await this.commit(() => {
      outcome = this.#add(entry, instead)
    })
    if (outcome === 'added' && instead.replacing !== undefined) this.claims.forget(instead.replacing.id)
    return outcome
  }

  #add(entry: QueuedFile, { replacing, maxOfSource }: Adding): 'added' | 'changed' | 'too-many' {
    if (replacing !== undefined) {
      if (this.sql.remove.run(replacing.id).changes === 0) return 'changed'
    } else if (maxOfSource !== undefined && this.sources.isOneTooMany(entry, maxOfSource)) return 'too-many'
    return this.sql.insert.run(toOutboxRow(entry)).changes === 1 ? 'added' : 'changed'
  }

  async recordAttempt(id: string, attempt: OutboxAttempt): Promise<'done' | 'lost'> {
    const { state, nextAttemptAtMs, lastStatus = null, lastError = null } = attempt
    return this.#settle(id, () => this.sql.recordAttempt.run({ id, state, nextAttemptAtMs, lastStatus, lastError }))
  }

  finish(id: string): Promise<'done' | 'lost'> {
    return this.#settle(id, () => this.sql.remove.run(id))
  }

  /** Changes an entry that this process has claimed, and gives it back. */
  async #settle(id: string, change: () => { readonly changes: number }): Promise<'done' | 'lost'> {
    let changes = 0
    await this.commit(() => {
      if (this.claims.holds(id)) changes = change().changes
    })
    this.claims.giveBack(id)
    return changes === 1 ? 'done' : 'lost'
  }

  async makeDue(nowMs: number, id?: string): Promise<number> {
    if (id === undefined) return this.#makeAllDue(nowMs)
    let changes = 0
    await this.commit(() => {
      changes = this.sql.makeDue.run(nowMs, id).changes
    })
    return changes
  }

  /** Goes through all entries in steps: one step over hundreds of thousands would hold up everything else for seconds. */
  async #makeAllDue(nowMs: number): Promise<number> {
    let count = 0
    for (let after: string | undefined = ''; after !== undefined; ) {
      const ids = this.sql.idsAfter.all(after, MADE_DUE_AT_ONCE)
      const last = ids.at(-1)
      if (last !== undefined) await this.#makeSomeDue(nowMs, after, last)
      count += ids.length
      after = last
    }
    return count
  }

  async #makeSomeDue(nowMs: number, after: string, last: string): Promise<void> {
    await this.commit(() => void this.sql.makeSomeDue.run({ nowMs, after, last }))
  }

  async remove(id: string): Promise<boolean> {
    let changes = 0
    await this.commit(() => {
      changes = this.sql.remove.run(id).changes
    })
    this.claims.forget(id)
    return changes === 1
  }

  async claimDue(
    targets: readonly string[],
    { nowMs, latestMs, withUnreached }: DueEntries,
    limit: number,
    leaseMs: number
  ): Promise<QueuedFile[]> {
    const claimed = JSON.stringify(this.claims.lasting())
    const bounds = { claimed, nowMs, latestMs, withUnreached: Number(withUnreached), limit }
    return dueIds(this.sql, targets, bounds).flatMap(id => {
      const row = this.sql.find.get(id)
      return row !== undefined && this.claims.take(id, leaseMs) ? [toQueuedFile(row)] : []
    })
  }

  async renew(ids: readonly string[], leaseMs: number): Promise<string[]> {
    return ids.filter(id => !this.claims.renew(id, leaseMs))
  }

  async giveBack(ids: readonly string[]): Promise<void> {
    for (const id of ids) this.claims.giveBack(id)
  }

  async nextDue(targets: readonly string[], latestMs: number): Promise<number | undefined> {
    const claimed = JSON.stringify(this.claims.lasting())
    return this.sql.nextDue.get({ targets: JSON.stringify(targets), claimed, latestMs }) ?? undefined
  }

  async targets(): Promise<string[]> {
    return this.sql.targets.all()
  }

  async find(id: string): Promise<QueuedFile | undefined> {
    const row = this.sql.find.get(id)
    return row && toQueuedFile(row)
  }

  async findByKey({ target, source, fileId }: FileKey): Promise<QueuedFile | undefined> {
    const row = this.sql.findByKey.get({ target, source, fileId })
    return row && toQueuedFile(row)
  }

  async page(after: string, limit: number, nodeId?: string): Promise<ListedFile[]> {
    const { page, pageOf } = this.sql
    const rows = nodeId === undefined ? page.all(after, limit) : pageOf.all({ nodeId, after, limit })
    return rows.map(toListedFile)
  }

  async counts(nodeId?: string): Promise<EntryCounts> {
    const count = (state: QueuedFile['state']) =>
      (nodeId === undefined ? this.sql.count.get(state) : this.sql.countOf.get({ nodeId, state })) ?? 0
    return { pending: count('pending'), failed: count('failed') }
  }

  async countByTarget(): Promise<{ readonly target: string; readonly count: number }[]> {
    return this.sql.countByTarget.all()
  }

  async totals(): Promise<Totals> {
    return this.sql.totals.get() ?? { count: 0, bytes: 0 }
  }

  async ids(): Promise<string[]> {
    return this.sql.ids.all()
  }

  async expired(nowMs: number): Promise<string[]> {
    return this.sql.expired.all(nowMs)
  }
}
