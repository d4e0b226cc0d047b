import { setImmediate as nextTurn } from 'node:timers/promises'
import type {
  NewRun,
  OpenNode,
  OrderRetention,
  Retention,
  RunEnd,
  RunRepository
} from '../../remote-run/run-repository.js'
import type { NodeRecord, RunRecord } from '../../remote-run/types.js'
import type { Database } from '../database.js'
import { type Commit, groupCommitOf } from '../group-commit.js'
import { newRunRow, toCounts, toNodeRecord, toNodeRow, toRunRecord } from './run-rows.js'
import { type RunStatements, runStatements } from './run-statements.js'

/** Rows of nodes written in one transaction, so that none takes more than a few ms. */
const ROWS_PER_COMMIT = 500

/** @param db the state database; closed by the caller */
export function createRunRepository(db: Database): RunRepository {
  return new SqliteRuns(runStatements(db), groupCommitOf(db))
}

/**
 * A state database belongs to one process at a time (a lock on its folder sees to that). So this process owns the runs
 * that it began or claimed, and the owners of all others are gone.
 */
class SqliteRuns implements RunRepository {
  readonly #owned = new Set<string>()

  constructor(
    private readonly sql: RunStatements,
    private readonly commit: Commit
  ) {}

  async begin(run: NewRun, nodes: Iterable<NodeRecord>, orderKey?: string): Promise<'begun' | 'known'> {
    const groups = inGroups(nodes)
    const first = groups.next()
    let isNew = false
    await this.commit(() => {
      if (orderKey !== undefined && this.sql.findOrder.get(orderKey) !== undefined) return
      isNew = this.sql.insertRun.run(newRunRow(run)).changes === 1
      if (isNew && orderKey !== undefined) this.sql.insertOrder.run(orderKey, run.id, run.startedAtMs)
      if (isNew && first.done !== true) this.#insert(run.id, first.value)
    })
    if (!isNew) return 'known'
    this.#owned.add(run.id)
    for (const group of groups) await this.commit(() => this.#insert(run.id, group))
    return 'begun'
  }

  async orderedRunId(orderKey: string): Promise<string | undefined> {
    return this.sql.findOrder.get(orderKey)
  }

  async forgetOrders({ orderedBeforeMs }: OrderRetention, limit: number): Promise<number> {
    let count = 0
    await this.commit(() => {
      count = this.sql.deleteOrders.run(orderedBeforeMs, limit).changes
    })
    return count
  }

  #insert(runId: string, nodes: readonly NodeRecord[]): void {
    for (const node of nodes) this.sql.insertNode.run({ ...toNodeRow(node), runId })
  }

  async note(runId: string, nodes: Iterable<NodeRecord>): Promise<void> {
    for (const group of inGroups(nodes)) await this.commit(() => this.#update(runId, group))
  }

  #update(runId: string, nodes: readonly NodeRecord[]): void {
    for (const node of nodes) this.sql.updateNode.run({ ...toNodeRow(node), runId })
  }

  async end(runId: string, { state, endedAtMs, counts }: RunEnd, nodes: Iterable<NodeRecord>): Promise<void> {
    const groups = [...inGroups(nodes)]
    const last = groups.pop() ?? []
    for (const group of groups) await this.commit(() => this.#update(runId, group))
    await this.commit(() => {
      this.#update(runId, last)
      this.sql.endRun.run(state, endedAtMs, JSON.stringify(counts), runId)
    })
    this.#owned.delete(runId)
  }

  async interrupt(runId: string, { state, endedAtMs }: Omit<RunEnd, 'counts'>, message: string): Promise<void> {
    await this.commit(() => {
      this.sql.interruptOpenNodes.run(message, runId)
      const counts = toCounts(this.sql.countOutcomes.all(runId))
      this.sql.endRun.run(state, endedAtMs, JSON.stringify(counts), runId)
    })
    this.#owned.delete(runId)
  }

  async markGiven(runId: string, nodes: Iterable<string>): Promise<void> {
    for (const group of inGroups(nodes)) {
      await this.commit(() => {
        for (const node of group) this.sql.markGiven.run(runId, node)
      })
    }
  }

  async unmarkGiven(runId: string, nodes: Iterable<string>): Promise<void> {
    for (const group of inGroups(nodes)) {
      await this.commit(() => {
        for (const node of group) this.sql.unmarkGiven.run(runId, node)
      })
    }
  }

  async find(runId: string): Promise<RunRecord | undefined> {
    const row = this.sql.find.get(runId)
    return row && toRunRecord(row)
  }

  async page(limit: number, beforeId = '~'): Promise<RunRecord[]> {
    return this.sql.page.all(beforeId, limit).map(toRunRecord)
  }

  async nodes(runId: string, limit: number, afterNode = ''): Promise<NodeRecord[]> {
    return this.sql.nodes.all(runId, afterNode, limit).map(toNodeRecord)
  }

  async waitingNodes(runId: string): Promise<OpenNode[]> {
    return this.sql.waitingNodes.all(runId).map(({ node, via }) => ({ node, via: via ?? undefined }))
  }

  async openLinkedNodes(runId: string): Promise<string[]> {
    return this.sql.openLinkedNodes.all(runId)
  }

  async claimAbandoned(): Promise<string[]> {
    const ids = this.sql.unfinished.all().filter(id => !this.#owned.has(id))
    for (const id of ids) this.#owned.add(id)
    return ids
  }

  async expired({ endedBeforeMs, idBefore, anywayBeforeMs }: Retention, limit: number): Promise<string[]> {
    return this.sql.expired.all(endedBeforeMs, idBefore, anywayBeforeMs, limit)
  }

  async remove(runId: string): Promise<void> {
    for (let removed = ROWS_PER_COMMIT; removed === ROWS_PER_COMMIT; await nextTurn()) {
      await this.commit(() => {
        removed = this.sql.deleteNodes.run({ runId, limit: ROWS_PER_COMMIT }).changes
      })
    }
    await this.commit(() => void this.sql.deleteRun.run(runId))
    this.#owned.delete(runId)
  }
}

function* inGroups<T>(all: Iterable<T>): Generator<T[], undefined> {
  let group: T[] = []
  for (const one of all) {
    group.push(one)
    if (group.length === ROWS_PER_COMMIT) {
      yield group
      group = []
    }
  }
  if (group.length > 0) yield group
}
