import { RelayError } from '../values/failures/relay-error.js'
import type { ActiveRun } from './active-run.js'
import { ArchivedRun } from './archived-run.js'
import type { LogFiles } from './event-log/log-files.js'
import type { RunRepository } from './run-repository.js'
import type { NodeRecord, Run, RunRecord } from './types.js'

/** Longest page of records. */
const MAX_PAGE = 1_000

/** Runs under way in this process, and the records of all others. */
export class KnownRuns {
  readonly #active = new Map<string, ActiveRun>()
  /** Runs that wait, and go on in the next process. */
  readonly #left = new Set<string>()

  constructor(
    private readonly repository: RunRepository,
    private readonly files: LogFiles,
    /** Tells who asks for a run that goes on in the next process. */
    private readonly stoppingText: string
  ) {}

  active(): ActiveRun[] {
    return [...this.#active.values()]
  }

  /**
   * The number of runs under way, without those whose end has been told, and whose log is still on its way to the
   * disk.
   */
  underWay(): number {
    let count = 0
    for (const run of this.#active.values()) count += run.state === 'running' ? 1 : 0
    return count
  }

  getActive(id: string): ActiveRun | undefined {
    return this.#active.get(id)
  }

  /** Keeps `run` among the runs under way until it has ended. */
  follow(run: ActiveRun): void {
    this.#active.set(run.id, run)
    run.ended.then(
      () => this.#active.delete(run.id),
      () => this.#active.delete(run.id)
    )
  }

  /**
   * Leaves a run to the next process. A run that waits for nodes may take days, and goes on after a restart: callers
   * that follow it would hold a stop up.
   */
  async leaveToNextProcess(run: ActiveRun): Promise<void> {
    this.#left.add(run.id)
    await run.suspendIdle(this.stoppingText)
    await run.ended
    this.#active.delete(run.id)
  }

  /** @throws {RelayError} STOPPING for a run that goes on in the next process */
  async find(id: string): Promise<Run | undefined> {
    if (this.#active.has(id)) return this.#active.get(id)
    if (this.#left.has(id)) throw new RelayError('STOPPING', this.stoppingText)
    const record = await this.repository.find(id)
    return (
      this.#active.get(id) ??
      (record && new ArchivedRun(record, this.files.path(id), () => allNodes(this.repository, id)))
    )
  }

  async record(id: string): Promise<RunRecord | undefined> {
    const record = await this.repository.find(id)
    return record && this.#asItStands(record)
  }

  /** @param limit is taken into 1 to 1,000 */
  async list(limit: number, beforeId?: string): Promise<RunRecord[]> {
    const records = await this.repository.page(page(limit), beforeId)
    return records.map(record => this.#asItStands(record))
  }

  /** @param limit is taken into 1 to 1,000 */
  async nodeRecords(id: string, limit: number, afterNode?: string): Promise<NodeRecord[]> {
    const records = await this.repository.nodes(id, page(limit), afterNode)
    const table = this.#active.get(id)?.table
    return table === undefined ? records : records.map(record => table.get(record.node) ?? record)
  }

  #asItStands(record: RunRecord): RunRecord {
    const live = this.#active.get(record.id)
    return live === undefined || record.state !== 'running' ? record : { ...record, counts: live.counts() }
  }
}

async function* allNodes(repository: Pick<RunRepository, 'nodes'>, runId: string): AsyncGenerator<NodeRecord> {
  for (let after: string | undefined; ; ) {
    const records = await repository.nodes(runId, MAX_PAGE, after)
    yield* records
    after = records.at(-1)?.node
    if (after === undefined) return
  }
}

function page(limit: number): number {
  return Math.min(MAX_PAGE, Math.max(1, Math.trunc(limit)))
}
