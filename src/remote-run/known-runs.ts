import { RelayError } from '../values/failures/relay-error.js'
import type { Logger } from '../values/logging/logger.js'
import { jittered } from '../values/time/backoff.js'
import type { ActiveRun } from './active-run.js'
import { ArchivedRun } from './archived-run.js'
import type { LogFiles } from './event-log/log-files.js'
import { nodePages } from './records/run-node-pages.js'
import type { NodeRecord, RunRecord } from './records/run-record.js'
import type { RunEnd, RunRepository } from './records/run-repository.js'
import type { Run } from './run-types.js'

/** Longest page of records. */
const MAX_PAGE = 1_000

/** Runs under way in this process, and the records of all others. */
export class KnownRuns {
  readonly #active = new Map<string, ActiveRun>()
  /** Runs that have ended, which the database has not taken yet. */
  readonly #unrecorded = new Map<string, ActiveRun>()
  /** The ends of runs that could not begin, which the database has not taken yet. */
  readonly #unbegun = new Map<string, RunEnd>()
  #recording: NodeJS.Timeout | undefined
  /** Runs that wait, and go on in the next process. */
  readonly #left = new Set<string>()

  constructor(
    private readonly repository: RunRepository,
    private readonly files: LogFiles,
    /** Tells who asks for a run that goes on in the next process. */
    private readonly stoppingText: string,
    /** The wait before an end that could not be recorded is recorded again. */
    private readonly recordAgainMs: number,
    private readonly logger: Logger
  ) {}

  active(): ActiveRun[] {
    return [...this.#active.values()]
  }

  /**
   * The callers of the runs under way, as records name them. Runs whose end has been told, and whose log is still on its
   * way to the disk, are left out.
   */
  askers(): string[] {
    return this.active()
      .filter(run => run.state === 'running')
      .map(run => run.askedBy)
  }

  /** The ids of runs whose ends the database has not taken yet. */
  unrecorded(): string[] {
    return [...this.#unrecorded.keys(), ...this.#unbegun.keys()]
  }

  getActive(id: string): ActiveRun | undefined {
    return this.#active.get(id)
  }

  /** Keeps `run` among the runs under way until it has ended. */
  follow(run: ActiveRun): void {
    this.#active.set(run.id, run)
    const onEnd = () => {
      this.#active.delete(run.id)
      if (run.unrecordedEnd === undefined) return
      this.#unrecorded.set(run.id, run)
      this.#recordSoon()
    }
    run.ended.then(onEnd, onEnd)
  }

  /** Records no more ends: the next process takes those that are left from the logs. */
  stop(): void {
    this.#unrecorded.clear()
    this.#unbegun.clear()
    clearTimeout(this.#recording)
  }

  /** Ends a run that could not begin; later, where the database refuses that. Never rejects. */
  async endUnbegun(id: string, end: RunEnd): Promise<void> {
    try {
      await this.#recordUnbegun(id, end)
    } catch (err) {
      this.logger.error({ err, runId: id }, 'cannot record the end of a run')
      this.#unbegun.set(id, end)
      this.#recordSoon()
    }
  }

  async #recordUnbegun(id: string, end: RunEnd): Promise<void> {
    // without a record there is nothing to end, and the same order may begin it at any time
    if (this.#active.has(id) || (await this.repository.find(id)) === undefined) return
    await this.repository.end(id, end, [])
  }

  #recordSoon(): void {
    this.#recording ??= setTimeout(() => void this.#record(), jittered(this.recordAgainMs)).unref() // never rejects
  }

  async #record(): Promise<void> {
    for (const [id, run] of this.#unrecorded) if (await run.recordEnd()) this.#unrecorded.delete(id)
    for (const [id, end] of this.#unbegun) {
      const isRecorded = await this.#recordUnbegun(id, end).then(
        () => true,
        () => false // which the log has said once
      )
      if (isRecorded) this.#unbegun.delete(id)
    }
    this.#recording = undefined
    if (this.#unrecorded.size + this.#unbegun.size > 0) this.#recordSoon()
  }

  /** The run as it is in memory, which knows more than the record. */
  #inMemory(id: string): ActiveRun | undefined {
    return this.#active.get(id) ?? this.#unrecorded.get(id)
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
    const run = this.#inMemory(id)
    if (run !== undefined) return run
    if (this.#left.has(id)) throw new RelayError('STOPPING', this.stoppingText)
    const record = await this.repository.find(id)
    return (
      this.#active.get(id) ??
      (record && new ArchivedRun(record, this.files.path(id), () => recordsOf(this.repository, id)))
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
    const table = this.#inMemory(id)?.table
    return table === undefined ? records : records.map(record => table.get(record.node) ?? record)
  }

  #asItStands(record: RunRecord): RunRecord {
    if (record.state !== 'running') return record
    const live = this.#inMemory(record.id)
    if (live === undefined) return { ...record, ...this.#unbegun.get(record.id) }
    return { ...record, counts: live.counts(), ...live.unrecordedEnd }
  }
}

async function* recordsOf(repository: RunRepository, runId: string): AsyncGenerator<NodeRecord> {
  for await (const records of nodePages(repository, runId)) yield* records
}

function page(limit: number): number {
  return Math.min(MAX_PAGE, Math.max(1, Math.trunc(limit)))
}
