/**
 * How far ahead the mark is set that outlives the process: it is written once in so long, while files come. After a restart
 * this relay's times may be as much ahead of those of other relays, as if its clock was.
 */
const MARK_AHEAD_MS = 1_000

export interface AcceptanceClockOptions {
  /** Ms since 1970. It may step. */
  readonly now: () => number
  /** The mark as it was written last: later than all times that a former process gave. */
  readonly readMark: () => Promise<number>
  /** Durable once it resolves. */
  readonly writeMark: (ms: number) => Promise<void>
}

/**
 * Tells when a relay accepts files as the first one: of two files with one name that it takes, one after the other, the later
 * one has the later time, wherever the clock is set in between, and whether it was restarted.
 */
export class AcceptanceClock {
  /** Later than this is whatever is accepted next. */
  #lastMs = 0
  #markMs: number | undefined
  #reading: Promise<void> | undefined
  #writing: Promise<void> | undefined

  constructor(private readonly options: AcceptanceClockOptions) {}

  /** @param hereMs when other copies of the file were accepted that are here */
  async next(hereMs: readonly number[]): Promise<number> {
    while (this.#markMs === undefined) await this.#readMark()
    const ms = Math.max(this.options.now(), this.#lastMs + 1)
    this.#lastMs = ms
    while (this.#lastMs >= this.#markMs) await this.#raiseMark()
    return Math.max(ms, ...hereMs.map(here => here + 1))
  }

  #readMark(): Promise<void> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined
    })
    return this.#reading
  }

  async #read(): Promise<void> {
    this.#lastMs = await this.options.readMark()
    this.#markMs = this.#lastMs
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
