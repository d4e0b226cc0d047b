import { EARLIEST_MS } from '../../values/time/earliest-time.js'
import type { StatedAcceptance } from '../file-types.js'
import { type Acceptance, isAhead, SKEW_MS } from '../keeping/file-record.js'
import type { AcceptanceMark } from '../keeping/file-repository.js'

/**
 * How far ahead the mark is set that outlives the process: it is written once in so long, while files come. No restart is
 * over sooner, or numbers of this relay would be ahead of the time after one that was killed.
 */
const MARK_AHEAD_MS = 100

/**
 * Tells when a relay accepts files as the first one, and numbers them: of two files that it takes, one after the other, the
 * later one has the greater number, wherever the clock is set in between, and whether it was restarted. The number is the
 * time, unless that is not greater than the number before; no clock ever makes it less. Each process gives numbers from
 * the mark before up to the one that it has set, so no two give the same.
 */
export class AcceptanceClock {
  #series = ''
  /** Greater than this is whatever number is given next. */
  #last = 0
  /** Less than this are all numbers that this process may give. */
  #end = 0
  #taking: Promise<void> | undefined

  /**
   * @param now ms since 1970; it may step
   * @param raiseMark raises the mark that outlives the process, see {@link AcceptanceMark}
   */
  constructor(
    private readonly now: () => number,
    private readonly raiseMark: (number: number) => Promise<AcceptanceMark>
  ) {}

  /**
   * @param here the copies of the file that are here: it is later than those, also by its time, which is compared with
   * the times of other relays
   */
  async accept(here: readonly Acceptance[]): Promise<Acceptance> {
    const seriesNumber = await this.#next()
    const nowMs = this.now()
    const clockMs = nowMs < EARLIEST_MS ? seriesNumber : nowMs
    const others = here.filter(({ series }) => series !== this.#series)
    const acceptedAtMs = Math.max(clockMs, ...others.map(other => other.acceptedAtMs + 1))
    return { acceptedAtMs, series: this.#series, seriesNumber }
  }

  async #next(): Promise<number> {
    for (;;) {
      const number = Math.max(this.now(), this.#last + 1)
      if (number < this.#end) {
        this.#last = number
        return number
      }
      this.#taking ??= this.#take(number + MARK_AHEAD_MS).finally(() => {
        this.#taking = undefined
      })
      await this.#taking
    }
  }

  /** Takes the numbers from the mark before up to `end`; none when the mark is as great already. */
  async #take(end: number): Promise<void> {
    const { series, before } = await this.raiseMark(end)
    this.#series = series
    this.#last = Math.max(this.#last, before - 1)
    if (before < end) this.#end = end
  }
}

/**
 * Takes over what the relay states that passes a file on. Its time is set right by as much as its clock differs from the one
 * here; one that is ahead all the same was given by a clock that has been set back since, and counts as now.
 * @param nowMs by the clock here, when the statement came
 */
export function acceptedAsStated({ sentAtMs, ...stated }: StatedAcceptance, nowMs: number): Acceptance {
  const behindMs = sentAtMs === undefined ? 0 : nowMs - sentAtMs
  const atMs = stated.acceptedAtMs + (Math.abs(behindMs) > SKEW_MS ? behindMs : 0)
  return { ...stated, acceptedAtMs: isAhead(atMs, nowMs) ? nowMs : Math.max(1, atMs) }
}
