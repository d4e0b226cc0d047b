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
   * Raises the mark that outlives the process, and never lowers it. Durable once it resolves.
   * @returns the mark before: all times that any process gave are earlier
   */
  readonly raiseMark: (ms: number) => Promise<number>
}

/**
 * Tells when a relay accepts files as the first one: of two files with one name that it takes, one after the other, the later
 * one has the later time, wherever the clock is set in between, and whether it was restarted. Each process gives times from
 * the mark before up to the one that it has set, so no two give the same.
 */
export class AcceptanceClock {
  /** Later than this is whatever is accepted next. */
  #lastMs = 0
  /** Earlier than this are all times that this process may give. */
  #endMs = 0
  #taking: Promise<void> | undefined

  constructor(private readonly options: AcceptanceClockOptions) {}

  /** @param hereMs when other copies of the file were accepted that are here */
  async next(hereMs: readonly number[]): Promise<number> {
    for (;;) {
      const ms = Math.max(this.options.now(), this.#lastMs + 1)
      if (ms < this.#endMs) {
        this.#lastMs = ms
        return Math.max(ms, ...hereMs.map(here => here + 1))
      }
      this.#taking ??= this.#take(ms + MARK_AHEAD_MS).finally(() => {
        this.#taking = undefined
      })
      await this.#taking
    }
  }

  /** Takes the times from the mark before up to `endMs`; none when the mark is as late already. */
  async #take(endMs: number): Promise<void> {
    const beforeMs = await this.options.raiseMark(endMs)
    this.#lastMs = Math.max(this.#lastMs, beforeMs - 1)
    if (beforeMs < endMs) this.#endMs = endMs
  }
}
