import { isAhead, isImplausible, latestPlausible, SKEW_MS } from '../keeping/file-record.js'

/**
 * How far ahead the mark is set that outlives the process: it is written once in so long, while files come. No restart is
 * over sooner, or times of this relay would be ahead of those of other relays after one that was killed, and a file that
 * it accepts would pass for newer than one that another relay accepts later.
 */
const MARK_AHEAD_MS = 100

export interface AcceptanceClockOptions {
  /** Ms since 1970. It may step. */
  readonly now: () => number
  /**
   * Raises the mark that outlives the process, and gives up one later than `latestMs`. Durable once it resolves.
   * @returns the mark before: all times that any process gave are earlier; 0 where it was given up
   */
  readonly raiseMark: (ms: number, latestMs: number) => Promise<number>
  /** Tells the time that has come for certain, in ms since 1970, wherever the clock is; asked once. @default it is not known */
  readonly certainTime?: (() => Promise<number | undefined>) | undefined
}

/**
 * Tells when a relay accepts files as the first one: of two files with one name that it takes, one after the other, the later
 * one has the later time, wherever the clock is set in between, and whether it was restarted. Each process gives times from
 * the mark before up to the one that it has set, so no two give the same. What a clock gave that was ahead is given up
 * once it is right again: else all later files would have its times. A clock that is behind the time that is certain is not
 * right; where that is not known, only what was implausibly far ahead is given up.
 */
export class AcceptanceClock {
  /** Later than this is whatever is accepted next. */
  #lastMs = 0
  /** Earlier than this are all times that this process may give. */
  #endMs = 0
  #taking: Promise<void> | undefined
  /** Tells the time that has come for certain, once it was asked for. */
  #certainMs: (() => number) | undefined

  constructor(private readonly options: AcceptanceClockOptions) {}

  /**
   * Tells when a file was accepted: as the relay states that passes it on, unless that is ahead of the clock here. Then
   * it is accepted now, unless a copy is here that is ahead as well: the clock may have been set back, so the two are compared.
   * @param statedMs undefined where this relay is the first one
   * @param hereMs when other copies of the file were accepted that are here
   */
  async acceptedAt(statedMs: number | undefined, hereMs: readonly number[]): Promise<number> {
    const nowMs = this.options.now()
    const believed = hereMs.filter(ms => !isImplausible(ms, nowMs))
    if (statedMs === undefined) return this.#next(believed)
    return isAhead(statedMs, nowMs) && believed.every(ms => ms <= statedMs) ? this.#next(believed) : statedMs
  }

  async #next(hereMs: readonly number[]): Promise<number> {
    for (;;) {
      const nowMs = this.options.now()
      if (Math.max(this.#lastMs, this.#endMs) > this.#latestMs(nowMs) + MARK_AHEAD_MS) {
        this.#lastMs = 0
        this.#endMs = 0
      }
      const ms = Math.max(nowMs, this.#lastMs + 1)
      if (ms < this.#endMs) {
        this.#lastMs = ms
        return Math.max(ms, ...hereMs.map(here => here + 1))
      }
      this.#taking ??= this.#take(ms + MARK_AHEAD_MS, nowMs).finally(() => {
        this.#taking = undefined
      })
      await this.#taking
    }
  }

  /** Takes the times from the mark before up to `endMs`; none when the mark is as late already. */
  async #take(endMs: number, nowMs: number): Promise<void> {
    this.#certainMs ??= await this.#askCertainTime()
    const beforeMs = await this.options.raiseMark(endMs, this.#latestMs(nowMs) + MARK_AHEAD_MS)
    this.#lastMs = Math.max(this.#lastMs, beforeMs - 1)
    if (beforeMs < endMs) this.#endMs = endMs
  }
  /** The latest time that may have been given by a clock that was right. */
  #latestMs(nowMs: number): number {
    const certainMs = this.#certainMs?.() ?? Number.POSITIVE_INFINITY
    return nowMs >= certainMs - SKEW_MS ? nowMs + SKEW_MS : latestPlausible(nowMs)
  }

  async #askCertainTime(): Promise<() => number> {
    const { certainTime = async () => undefined } = this.options
    const certainMs = (await certainTime()) ?? Number.POSITIVE_INFINITY
    const askedAtMs = performance.now()
    return () => certainMs + performance.now() - askedAtMs
  }
}
