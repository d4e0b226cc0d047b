/** The units that a connection may be ahead. */
export const MAX_IDLE_UNITS = 1_000
/** The units that it is forgiven each second. */
const FORGIVEN_A_SECOND = 50

/**
 * The units of a frame, by what brings nothing on: a PING or SETTINGS is answered by one frame, and a request that is reset
 * before its answer ends was begun at the service, too (rapid reset, CVE-2023-44487).
 */
export const UNITS_OF = { control: 1, reset: 5 } as const

/** Counts frames of one connection in HTTP/2 that bring nothing on. What does gives units back: pieces of answers, and their ends. */
export class FrameAllowance {
  #used = 0
  #countedMs: number

  /** @param now in ms, of a clock that only goes forward */
  constructor(private readonly now: () => number = () => performance.now()) {
    this.#countedMs = now()
  }

  /** @returns false when there were too many: the connection is to be closed */
  spend(units: number): boolean {
    const nowMs = this.now()
    const forgiven = ((nowMs - this.#countedMs) / 1_000) * FORGIVEN_A_SECOND
    this.#countedMs = nowMs
    this.#used = Math.max(0, this.#used - forgiven) + units
    return this.#used <= MAX_IDLE_UNITS
  }

  giveBack(units: number): void {
    this.#used = Math.max(0, this.#used - units)
  }
}
