import { BelievedClock } from '../../process/believed-clock.js'
import { firstRunId } from '../../values/runs/run-id.js'
import type { LogFiles } from '../event-log/log-files.js'
import { ONCE_ONLY_MS } from '../records/run-age.js'
import type { RunRepository } from '../records/run-repository.js'

const RUNS_PER_LOOK = 100
const ORDERS_PER_STEP = 500
/** Runs whose ids are from the future are kept so much longer, for the once-only rule. */
const AHEAD_MS = 30 * 24 * 3_600_000
/** How far the clock of the relay above may be ahead of ours, in ms. */
const CLOCK_SKEW_MS = 60 * 60_000

const DAY_MS = 24 * 60 * 60_000

/** After a machine was off, the clock by which runs are removed is right again within a tenth of that time. */
const CATCH_UP = 10

export interface PurgeOptions {
  readonly repository: RunRepository
  readonly files: LogFiles
  /** How long the records of ended runs are kept, in ms. */
  readonly retentionMs: () => number
  /** In ms since 1970. It may step. */
  readonly now: () => number
  /** In ms, since the machine started. @default that of the system */
  readonly uptime: (() => number) | undefined
}

/**
 * Removes expired runs, by a believed clock: an order whose record is gone could be carried out again. The log goes first and
 * the record last, so that what a crash leaves is found again. Logs without a record, which a crash can leave as well, go too.
 */
export class RunPurge {
  readonly #clock: BelievedClock

  constructor(private readonly options: PurgeOptions) {
    const { repository, now, uptime } = options
    this.#clock = new BelievedClock(repository, { now, uptime, catchUpMs: ranMs => CATCH_UP * ranMs })
  }

  /** Notes the time, where that was never done, or the machine was off: all that is removed later is measured by it. */
  begin(): Promise<void> {
    return this.#clock.begin(() => this.#latestFirstMs())
  }

  /** No former reading bounds the first one: it is believed up to a day after the newest run. */
  async #latestFirstMs(): Promise<number> {
    const [newest] = await this.options.repository.page(1)
    return newest === undefined ? Number.POSITIVE_INFINITY : newest.startedAtMs + DAY_MS
  }

  /** @returns how many runs went */
  purge(signal: AbortSignal): Promise<number> {
    return this.#clock.during(believedMs => this.#purgeAt(believedMs, signal))
  }

  async #purgeAt(believedMs: number, signal: AbortSignal): Promise<number> {
    const { repository, files, retentionMs } = this.options
    const endedBeforeMs = believedMs - retentionMs() - CLOCK_SKEW_MS
    const count = await this.#removeExpired(endedBeforeMs, signal)
    const orderedBeforeMs = believedMs - ONCE_ONLY_MS - CLOCK_SKEW_MS
    for (let forgotten = ORDERS_PER_STEP; forgotten === ORDERS_PER_STEP && !signal.aborted; ) {
      forgotten = await repository.forgetOrders({ orderedBeforeMs }, ORDERS_PER_STEP)
    }
    for await (const id of files.unchangedSince(endedBeforeMs)) {
      if (signal.aborted) break
      if ((await repository.find(id)) === undefined) await files.remove(id)
    }
    return count
  }

  async #removeExpired(endedBeforeMs: number, signal: AbortSignal): Promise<number> {
    const { repository, files } = this.options
    const retention = {
      endedBeforeMs,
      idBefore: firstRunId(endedBeforeMs),
      anywayBeforeMs: endedBeforeMs - AHEAD_MS
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
