import { setImmediate as nextTurn } from 'node:timers/promises'
import type { RunningTimeReading, RunningTimeReadings } from '../../process/running-time.js'
import type { NodeRecord, RunRecord } from '../../remote-run/records/run-record.js'
import type {
  NewRun,
  OpenNode,
  OrderRetention,
  Retention,
  RunEnd,
  RunRepository
} from '../../remote-run/records/run-repository.js'
import type { Database } from '../sqlite-engine/database.js'
import { type Commit, groupCommitOf } from '../sqlite-engine/group-commit.js'
import { Claims } from './claims.js'
import { createRunningTimeReadings } from './running-time-readings.js'
import { newRunRow, toCounts, toNodeRecord, toNodeRow, toRunRecord } from './statements/run-rows.js'
import { type RunStatements, runStatements } from './statements/run-statements.js'

type Fenced = Awaited<ReturnType<RunRepository['note']>>

/** Rows of nodes written in one transaction, so that none takes more than a few ms. */
const ROWS_PER_COMMIT = 500

/**
 * @param db the state database; closed by the caller
 * @param claims on runs, of this process
 */
export function createRunRepository(db: Database, claims = new Claims()): RunRepository {
  return new SqliteRuns(runStatements(db), groupCommitOf(db), claims, createRunningTimeReadings(db, 'runs'))
}

class SqliteRuns implements RunRepository {
  constructor(
    private readonly sql: RunStatements,
    private readonly commit: Commit,
    private readonly claims: Claims,
    private readonly time: RunningTimeReadings
  ) {}

  async begin(
    run: NewRun,
    nodes: Iterable<NodeRecord>,
    leaseMs: number,
    orderKey?: string
  ): Promise<'begun' | 'known'> {
    const groups = inGroups(nodes)
    const first = groups.next()
    let isNew = false
    try {
      await this.commit(() => {
        isNew = this.#insertRun(run, orderKey)
        if (isNew) this.claims.take(run.id, leaseMs)
        if (isNew && first.done !== true) this.#insert(run.id, first.value)
      })
    } catch (error) {
      if (isNew) this.claims.giveBack(run.id)
      throw error
    }
    if (!isNew) return 'known'
    const outcome = await this.#eachGroup(run.id, groups, group => this.#insert(run.id, group))
    return outcome === 'lost' ? 'known' : 'begun'
  }

  #insertRun(run: NewRun, orderKey: string | undefined): boolean {
    if (orderKey !== undefined && this.sql.findOrder.get(orderKey) !== undefined) return false
    const isNew = this.sql.insertRun.run(newRunRow(run)).changes === 1
    if (isNew && orderKey !== undefined) this.sql.insertOrder.run(orderKey, run.id, run.startedAtMs)
    return isNew
  }

  /** Writes in a step that changes nothing where the run is another process's by now. */
  async #fenced(runId: string, work: () => void): Promise<Fenced> {
    let outcome: Fenced = 'lost'
    await this.commit(() => {
      if (!this.claims.holds(runId)) return
      work()
      outcome = 'done'
    })
    return outcome
  }

  async #eachGroup<T>(runId: string, groups: Iterable<T[]>, work: (group: T[]) => void): Promise<Fenced> {
    for (const group of groups) {
      if ((await this.#fenced(runId, () => work(group))) === 'lost') return 'lost'
    }
    return 'done'
  }

  async orderedRunId(orderKey: string): Promise<string | undefined> {
    return this.sql.findOrder.get(orderKey)
  }

  async noteAge(ranMs: number, limit: number): Promise<number> {
    let count = 0
    if (this.sql.unseen.get() === 0) return count
    await this.commit(() => {
      count = Math.max(this.sql.noteEnded.run(ranMs, limit).changes, this.sql.noteOrdered.run(ranMs, limit).changes)
    })
    return count
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

  note(runId: string, nodes: Iterable<NodeRecord>): Promise<Fenced> {
    return this.#eachGroup(runId, inGroups(nodes), group => this.#update(runId, group))
  }

  #update(runId: string, nodes: readonly NodeRecord[]): void {
    for (const node of nodes) this.sql.updateNode.run({ ...toNodeRow(node), runId })
  }

  async end(runId: string, { state, endedAtMs, counts }: RunEnd, nodes: Iterable<NodeRecord>): Promise<Fenced> {
    const groups = [...inGroups(nodes)]
    const last = groups.pop() ?? []
    if ((await this.#eachGroup(runId, groups, group => this.#update(runId, group))) === 'lost') return 'lost'
    const outcome = await this.#fenced(runId, () => {
      this.#update(runId, last)
      this.sql.endRun.run(state, endedAtMs, JSON.stringify(counts), runId)
    })
    this.claims.giveBack(runId)
    return outcome
  }

  async interrupt(runId: string, { state, endedAtMs }: Omit<RunEnd, 'counts'>, message: string): Promise<Fenced> {
    const outcome = await this.#fenced(runId, () => {
      this.sql.interruptOpenNodes.run(message, runId)
      const counts = toCounts(this.sql.countOutcomes.all(runId))
      this.sql.endRun.run(state, endedAtMs, JSON.stringify(counts), runId)
    })
    this.claims.giveBack(runId)
    return outcome
  }

  markGiven(runId: string, nodes: Iterable<string>): Promise<Fenced> {
    return this.#eachGroup(runId, inGroups(nodes), group => {
      for (const node of group) this.sql.markGiven.run(runId, node)
    })
  }

  unmarkGiven(runId: string, nodes: Iterable<string>): Promise<Fenced> {
    return this.#eachGroup(runId, inGroups(nodes), group => {
      for (const node of group) this.sql.unmarkGiven.run(runId, node)
    })
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

  async claimAbandoned(leaseMs: number): Promise<string[]> {
    return this.sql.unfinished.all().filter(id => !this.claims.holds(id) && this.claims.take(id, leaseMs))
  }

  async renew(runIds: readonly string[], leaseMs: number): Promise<string[]> {
    return runIds.filter(id => !this.claims.renew(id, leaseMs))
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
    this.claims.forget(runId)
  }

  runningTime(): Promise<RunningTimeReading | undefined> {
    return this.time.runningTime()
  }

  noteRunningTime(reading: RunningTimeReading): Promise<void> {
    return this.time.noteRunningTime(reading)
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
