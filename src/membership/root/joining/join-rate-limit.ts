import { WindowCounts } from '../../../network/sources/window-counts.js'
import { RelayError } from '../../../values/failures/relay-error.js'

/** How often something may happen within a window, for each name. */
export class JoinRateLimit {
  readonly #counts: WindowCounts

  /**
   * @param now in ms, of a clock that only goes forward
   * @param refusal what a caller is told beyond `max`
   */
  constructor(
    max: number,
    windowMs: number,
    now?: () => number,
    private readonly refusal = (seconds: number) =>
      `refused ${max} times already; wait ${seconds} s, and check the token`
  ) {
    this.#counts = new WindowCounts(max, windowMs, now)
  }

  /** @throws {RelayError} BUSY when it has happened too often */
  check(name: string): void {
    const waitMs = this.#counts.waitMs(name)
    if (waitMs > 0) throw new RelayError('BUSY', this.refusal(Math.ceil(waitMs / 1_000)))
  }

  count(name: string): void {
    this.#counts.count(name)
  }
}
