import type {
  DueEntries,
  EntryCounts,
  OutboxAttempt,
  OutboxRepository
} from '../../shared-files/forwarding/outbox-repository.js'
import type { ListedFile, QueuedFile } from '../../shared-files/keeping/file-record.js'
import type { SourceLimit, Totals } from '../../shared-files/keeping/file-repository.js'
import type { FileKey } from '../../values/ids.js'
import type { Database } from '../database.js'
import { type Commit, groupCommitOf } from '../group-commit.js'
import { toListedFile, toOutboxRow, toQueuedFile } from './outbox-rows.js'
import { type OutboxStatements, outboxStatements } from './outbox-statements.js'
import { createSourceCounter, type SourceCounter } from './source-limit.js'

type Adding = { readonly replacing: QueuedFile | undefined } & SourceLimit

/** @param db the state database; closed by the caller */
export function createOutboxRepository(db: Database): OutboxRepository {
  return new SqliteOutbox(outboxStatements(db), createSourceCounter(db), groupCommitOf(db))
}

/** A state database belongs to one process at a time, so claims are kept in memory, and end with the process. */
class SqliteOutbox implements OutboxRepository {
  /** When the lease of an entry ends, by a clock that only goes forward. */
  readonly #claims = new Map<string, number>()

  constructor(
    private readonly sql: OutboxStatements,
    private readonly sources: SourceCounter,
    private readonly commit: Commit
  ) {}

  async add(entry: QueuedFile, instead: Adding): Promise<'added' | 'changed' | 'too-many'> {
    let outcome: 'added' | 'changed' | 'too-many' = 'changed'
    await this.commit(() => {
      outcome = this.#add(entry, instead)
    })
    return outcome
  }

  #add(entry: QueuedFile, { replacing, maxOfSource }: Adding): 'added' | 'changed' | 'too-many' {
    if (replacing !== undefined) {
      if (this.sql.remove.run(replacing.id).changes === 0) return 'changed'
    } else if (maxOfSource !== undefined && this.sources.isOneTooMany(entry, maxOfSource)) return 'too-many'
    return this.sql.insert.run(toOutboxRow(entry)).changes === 1 ? 'added' : 'changed'
  }

  async recordAttempt(id: string, attempt: OutboxAttempt): Promise<void> {
    const { state, nextAttemptAtMs, lastStatus = null, lastError = null } = attempt
    await this.commit(() => void this.sql.recordAttempt.run({ id, state, nextAttemptAtMs, lastStatus, lastError }))
    this.#claims.delete(id)
  }

  async makeDue(nowMs: number, id?: string): Promise<number> {
    let changes = 0
    await this.commit(() => {
      const { makeDue, makeAllDue } = this.sql
      changes = (id === undefined ? makeAllDue.run(nowMs) : makeDue.run(nowMs, id)).changes
    })
    return changes
  }

  async remove(id: string): Promise<boolean> {
    let changes = 0
    await this.commit(() => {
      changes = this.sql.remove.run(id).changes
    })
    this.#claims.delete(id)
    return changes === 1
  }

  async claimDue(
    targets: readonly string[],
    { nowMs, latestMs, withUnreached }: DueEntries,
    limit: number,
    leaseMs: number
  ): Promise<QueuedFile[]> {
    const claimed = this.#claimed()
    const asked = { targets: JSON.stringify(targets), claimed, nowMs, latestMs }
    const entries = this.sql.due.all({ ...asked, withUnreached: Number(withUnreached), limit }).map(toQueuedFile)
    const endsAtMs = performance.now() + leaseMs
    for (const { id } of entries) this.#claims.set(id, endsAtMs)
    return entries
  }

  /** Ids of what is claimed, as JSON. */
  #claimed(): string {
    const nowMs = performance.now()
    for (const [id, endsAtMs] of this.#claims) if (endsAtMs <= nowMs) this.#claims.delete(id)
    return JSON.stringify([...this.#claims.keys()])
  }

  async renew(ids: readonly string[], leaseMs: number): Promise<void> {
    const endsAtMs = performance.now() + leaseMs
    for (const id of ids) if (this.#claims.has(id)) this.#claims.set(id, endsAtMs)
  }

  async giveBack(ids: readonly string[]): Promise<void> {
    for (const id of ids) this.#claims.delete(id)
  }

  async nextDue(targets: readonly string[], latestMs: number): Promise<number | undefined> {
    return this.sql.nextDue.get({ targets: JSON.stringify(targets), claimed: this.#claimed(), latestMs }) ?? undefined
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
