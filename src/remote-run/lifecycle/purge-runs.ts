import { RunningTime, thisMachine } from '../../process/running-time.js'
import { firstRunId } from '../../values/runs/run-id.js'
import type { LogFiles } from '../event-log/log-files.js'
import { ONCE_ONLY_MS } from '../records/run-age.js'
import type { RunRepository } from '../records/run-repository.js'

const RUNS_PER_LOOK = 100
const RECORDS_PER_STEP = 500
/** Runs whose ids are from the future are kept so much longer, for the once-only rule. */
const AHEAD_MS = 30 * 24 * 3_600_000
/** How far the clock of the relay above may be ahead of ours, in ms. */
const CLOCK_SKEW_MS = 60 * 60_000

/** How often it is noted how long the machine has run, and how often logs without a record are looked for. */
const NOTE_EVERY_MS = 5 * 60_000
const LOGS_EVERY_MS = 3_600_000

export interface PurgeOptions {
  readonly repository: RunRepository
  readonly files: Pick<LogFiles, 'remove' | 'unchangedSince'>
  /** How long the records of ended runs are kept, in ms. */
  readonly retentionMs: () => number
  /** In ms since 1970. It may step. */
  readonly now: () => number
  /** In ms, since the machine started. @default that of the system */
  readonly uptime: (() => number) | undefined
}

/**
 * Removes runs and orders once the machine has run for long enough since they were seen to have ended: an order whose record
 * is gone could be carried out again, and so a clock never makes it go sooner. The log goes first and the record last, so that what a crash
 * leaves is found again. Logs without a record, which a crash can leave as well, go too.
 */
export class RunPurge {
  readonly #time: RunningTime
  #notedAtMs = Number.NEGATIVE_INFINITY
  #lookedForLogsAtMs = Number.NEGATIVE_INFINITY

  constructor(private readonly options: PurgeOptions) {
    this.#time = new RunningTime(options.repository, thisMachine(options.uptime))
  }

  /** Notes how long the machine has run: the next process counts from there. */
  begin(): Promise<void> {
    return this.#time.note()
  }

  /** @returns how many runs went */
  async purge(signal: AbortSignal): Promise<number> {
    const ranMs = await this.#time.ms()
    const count = await this.#removeExpired(ranMs, signal) // which makes room on a full disk, before anything is written
    await inSteps(signal, limit => this.#forgetOrders(ranMs, limit))
    if (ranMs - this.#lookedForLogsAtMs >= LOGS_EVERY_MS) await this.#removeLogs(signal)
    const seen = await inSteps(signal, limit => this.options.repository.noteAge(ranMs, limit))
    if (seen > 0 || ranMs - this.#notedAtMs >= NOTE_EVERY_MS) await this.#note(ranMs)
    return count
  }

  async #note(ranMs: number): Promise<void> {
    await this.#time.note()
    this.#notedAtMs = ranMs
  }

  #forgetOrders(ranMs: number, limit: number): Promise<number> {
    return this.options.repository.forgetOrders({ orderedBeforeMs: ranMs - ONCE_ONLY_MS - CLOCK_SKEW_MS }, limit)
  }

  /** A log without a record is of no use to anyone: it may go by any clock. */
  async #removeLogs(signal: AbortSignal): Promise<void> {
    const { repository, files, retentionMs, now } = this.options
    for await (const id of files.unchangedSince(now() - retentionMs() - CLOCK_SKEW_MS)) {
      if (signal.aborted) return
      if ((await repository.find(id)) === undefined) await files.remove(id)
    }
    this.#lookedForLogsAtMs = await this.#time.ms()
  }

  async #removeExpired(ranMs: number, signal: AbortSignal): Promise<number> {
    const { repository, files, retentionMs, now } = this.options
    const keptMs = retentionMs() + CLOCK_SKEW_MS
    const retention = {
      endedBeforeMs: ranMs - keptMs,
      idBefore: firstRunId(now() - keptMs),
      anywayBeforeMs: ranMs - keptMs - AHEAD_MS
    }
    for (let count = 0; ; ) {
      const ids = await repository.expired(retention, RUNS_PER_LOOK)
      for (const id of ids) {
        if (signal.aborted) return count
        await files.remove(id)
        await repository.remove(id)
        count += 1
      }
      if (ids.length < RUNS_PER_LOOK) return count
    }
  }
}

/** @param work of one step, of at most so many records @returns how many there were in all */
async function inSteps(signal: AbortSignal, work: (limit: number) => Promise<number>): Promise<number> {
  let all = 0
  for (let count = RECORDS_PER_STEP; count === RECORDS_PER_STEP && !signal.aborted; all += count) {
    count = await work(RECORDS_PER_STEP)
  }
  return all
}
