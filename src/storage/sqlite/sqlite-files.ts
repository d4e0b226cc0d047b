import { randomBytes } from 'node:crypto'
import type { ListedKeptFile, StoredFile } from '../../shared-files/keeping/file-record.js'
import type {
  AcceptanceMark,
  FileHash,
  FileRepository,
  Replacement,
  SourceLimit,
  Totals
} from '../../shared-files/keeping/file-repository.js'
import type { FileKey } from '../../values/ids.js'
import type { Database } from '../sqlite-engine/database.js'
import { type Commit, groupCommitOf } from '../sqlite-engine/group-commit.js'
import type { Claims } from './claims.js'
import { createSourceCounter, type SourceCounter } from './source-limit.js'
import { toFileRow, toStoredFile, toVersionRow } from './statements/file-rows.js'
import { type FileStatements, fileStatements } from './statements/file-statements.js'
import { toOutboxRow } from './statements/outbox-rows.js'
import { type OutboxWrites, outboxWrites } from './statements/outbox-statements.js'

/**
 * @param db the state database; closed by the caller
 * @param claims on entries of the outbox, of this process: those of its outbox repository
 */
export function createFileRepository(db: Database, claims: Claims): FileRepository {
  return new SqliteFiles(fileStatements(db), outboxWrites(db), createSourceCounter(db), groupCommitOf(db), claims)
}

type Keeping = Awaited<ReturnType<FileRepository['keep']>>

class SqliteFiles implements FileRepository {
  constructor(
    private readonly sql: FileStatements,
    private readonly outbox: OutboxWrites,
    private readonly sources: SourceCounter,
    private readonly commit: Commit,
    private readonly claims: Claims
  ) {}

  async keep(file: StoredFile, instead: Replacement & SourceLimit): Promise<Keeping> {
    let outcome = 'changed' as Keeping
    await this.commit(() => {
      outcome = this.#keep(file, instead)
    })
    if (outcome === 'kept' && instead.insteadOf !== undefined) this.claims.forget(instead.insteadOf.id)
    return outcome
  }

  #keep(file: StoredFile, { replacing, insteadOf, isClaimed, maxOfSource }: Replacement & SourceLimit): Keeping {
    if (insteadOf !== undefined && isClaimed === true && !this.claims.holds(insteadOf.id)) return 'lost'
    const isLimited = maxOfSource !== undefined && replacing === undefined
    if (isLimited && this.sources.isOneTooMany(file, maxOfSource)) return 'too-many'
    if (!this.#put(file, replacing)) return 'changed'
    if (insteadOf !== undefined) this.outbox.remove.run(insteadOf.id)
    return 'kept'
  }

  /** @returns whether the file took the place of the version that was seen, or of none */
  #put(file: StoredFile, seen: StoredFile | undefined): boolean {
    const row = toFileRow(file)
    const { changes } =
      seen === undefined ? this.sql.insert.run(row) : this.sql.replace.run({ ...row, ...toVersionRow(seen) })
    return changes === 1
  }

  async undo(file: StoredFile, { replacing, insteadOf }: Replacement): Promise<boolean> {
    let isUndone = false
    await this.commit(() => {
      isUndone =
        replacing === undefined ? this.sql.remove.run(toVersionRow(file)).changes === 1 : this.#put(replacing, file)
      if (isUndone && insteadOf !== undefined) this.outbox.insert.run(toOutboxRow(insteadOf))
    })
    return isUndone
  }

  async markDurable(spools: readonly string[]): Promise<void> {
    await this.commit(() => {
      for (const spool of spools) this.sql.markDurable.run(spool)
    })
  }

  async redate(file: StoredFile, times: Pick<StoredFile, 'storedAtMs' | 'expiresAtMs'>): Promise<boolean> {
    const { storedAtMs, expiresAtMs } = times
    let changes = 0
    await this.commit(() => {
      changes = this.sql.redate.run({ ...toVersionRow(file), storedAtMs, expiresAtMs }).changes
    })
    return changes === 1
  }

  async remove(files: readonly StoredFile[]): Promise<StoredFile[]> {
    let removed: StoredFile[] = []
    await this.commit(() => {
      removed = files.filter(file => this.sql.remove.run(toVersionRow(file)).changes === 1)
    })
    return removed
  }

  async find(key: FileKey): Promise<StoredFile | undefined> {
    const row = this.sql.find.get(key)
    return row && toStoredFile(row)
  }

  async findHash(key: FileKey): Promise<FileHash | undefined> {
    return this.sql.findHash.get(key.target, key.source, key.fileId)
  }

  async unsettled(): Promise<StoredFile[]> {
    return this.sql.unsettled.all().map(toStoredFile)
  }

  async page({ target, source, fileId }: FileKey, limit: number): Promise<StoredFile[]> {
    return this.sql.page.all({ target, source, fileId, limit }).map(toStoredFile)
  }

  async pageOnBehalf(relay: string, { target, source, fileId }: FileKey, limit: number): Promise<StoredFile[]> {
    return this.sql.pageOnBehalf.all({ target, source, fileId, relay, limit }).map(toStoredFile)
  }

  async forTarget(target: string, fileId: string | undefined, nowMs: number, limit: number): Promise<ListedKeptFile[]> {
    return this.sql.forTarget.all({ target, fileId: fileId ?? null, nowMs, limit })
  }

  async expired(nowMs: number, limit: number, skip: number): Promise<FileKey[]> {
    return this.sql.expired.all(nowMs, limit, skip)
  }

  async totals(): Promise<Totals> {
    return this.sql.totals.get() ?? { count: 0, bytes: 0 }
  }

  async countOfSource(source: string): Promise<number> {
    return this.sources.count(source)
  }

  async raiseAcceptanceMark(number: number): Promise<AcceptanceMark> {
    let mark: AcceptanceMark = { series: randomBytes(16).toString('hex'), before: 0 }
    await this.commit(() => {
      mark = this.sql.acceptanceMark.get() ?? mark
      if (number > mark.before) this.sql.raiseAcceptanceMark.run(mark.series, number)
    })
    return mark
  }
}
