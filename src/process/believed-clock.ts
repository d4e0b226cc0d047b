import { uptime as machineUptime } from 'node:os'

/** The clock and how long the machine had run, at one moment. */
export interface ClockReading {
  /** In ms since 1970. */
  readonly atMs: number
  /** In ms. */
  readonly uptimeMs: number
}

/** The last reading of a clock, which outlives the process. */
export interface ClockReadings {
  clockReading(): Promise<ClockReading | undefined>
  noteClock(reading: ClockReading): Promise<void>
}

export interface BelievedClockOptions {
  /** In ms since 1970. It may step. */
  readonly now: () => number
  /** In ms, since the machine started. @default that of the system */
  readonly uptime?: (() => number) | undefined
  /**
   * How much more than the time that the machine ran, `ranMs`, is believed to have passed: so that the clock comes up again with
   * the right one after the machine was off.
   */
  readonly catchUpMs: (ranMs: number) => number
}

/** A clock before this program was written is wrong (a board without a battery starts in 1970), and bounds no later one. */
const EARLIEST_MS = Date.UTC(2026, 0, 1)

/**
 * A clock that is believed only as far as the machine has run: what is removed by it, once for all, is not removed because
 * the clock of the machine was ahead for a while. It is behind that of the machine after the machine was off.
 */
export class BelievedClock {
  constructor(
    private readonly readings: ClockReadings,
    private readonly options: BelievedClockOptions
  ) {}

  /** Notes the first reading, believed up to `latestMs`, unless there is one: later ones are measured by it. */
  async begin(latestMs = Number.POSITIVE_INFINITY): Promise<void> {
    if ((await this.readings.clockReading()) !== undefined) return
    const reading = this.#reading()
    await this.readings.noteClock({ ...reading, atMs: Math.min(reading.atMs, latestMs) })
  }

  /** How long the machine has run since the last reading, at least, in ms; undefined where there is none. */
  async ranMs(): Promise<number | undefined> {
    const former = await this.readings.clockReading()
    return former === undefined ? undefined : ranMs(former, this.#reading())
  }

  /** Notes a reading. @returns the time that is certain to have come, in ms since 1970 */
  async advance(): Promise<number> {
    const former = await this.readings.clockReading()
    const reading = this.#reading()
    const atMs = former === undefined ? reading.atMs : Math.min(reading.atMs, this.#latestMs(former, reading))
    await this.readings.noteClock({ ...reading, atMs })
    return atMs
  }

  #latestMs(former: ClockReading, reading: ClockReading): number {
    if (former.atMs < EARLIEST_MS) return Number.POSITIVE_INFINITY
    const ran = ranMs(former, reading)
    return former.atMs + ran + this.options.catchUpMs(ran)
  }

  #reading(): ClockReading {
    const { now, uptime = () => machineUptime() * 1_000 } = this.options
    return { atMs: Math.floor(now()), uptimeMs: Math.floor(uptime()) }
  }
}

/** The time that has passed at least. A lower uptime: the machine has started since. */
function ranMs(former: ClockReading, { uptimeMs }: ClockReading): number {
  return uptimeMs >= former.uptimeMs ? uptimeMs - former.uptimeMs : uptimeMs
}
