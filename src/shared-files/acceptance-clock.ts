/** How far ahead the mark is set that outlives the process: it is written once in so long, while files come. */
const MARK_AHEAD_MS = 10_000

export interface AcceptanceClockOptions {
  /** Ms since 1970. It may step. */
  readonly now: () => number
  /** The mark as it was written last: later than all times that a former process gave. */
  readonly markMs: number
  /** Durable once it resolves. */
  readonly writeMark: (ms: number) => Promise<void>
}

/**
 * Tells when files count as accepted: of two files with one name that this relay takes, one after the other, the later one
 * has the later time, wherever the clock is set in between.
 */
export class AcceptanceClock {
  /** Later than this is whatever is accepted next. */
  #lastMs: number
  #markMs: number
  #writing: Promise<void> | undefined

  constructor(private readonly options: AcceptanceClockOptions) {
    this.#lastMs = options.markMs
    this.#markMs = options.markMs
  }

  /**
   * @param toldMs by the relay that passes the file on; undefined where this is the first one. It counts when it is in the
   *   past: a clock that is ahead must not block later copies
   * @param hereMs of the copies that are here. One from the future came by a clock that was ahead: anything is later
   */
  async accept(toldMs: number | undefined, hereMs: readonly number[]): Promise<number> {
    const nowMs = this.options.now()
    const isComparable = toldMs !== undefined && toldMs < nowMs && hereMs.every(ms => ms <= nowMs)
    const ms = isComparable ? toldMs : Math.max(nowMs, this.#lastMs + 1)
    this.#lastMs = Math.max(this.#lastMs, ms)
    while (this.#lastMs >= this.#markMs) await this.#raiseMark()
    return isComparable ? ms : Math.max(ms, ...hereMs.map(here => here + 1))
  }

  #raiseMark(): Promise<void> {
    this.#writing ??= this.#write(this.#lastMs + MARK_AHEAD_MS).finally(() => {
      this.#writing = undefined
    })
    return this.#writing
  }

  async #write(markMs: number): Promise<void> {
    await this.options.writeMark(markMs)
    this.#markMs = markMs
  }
}
