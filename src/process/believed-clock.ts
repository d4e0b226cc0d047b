import { uptime as machineUptime } from 'node:os'

/** The knowledge of a believed clock at one moment. */
export interface ClockReading {
  /** The time that was certain to have come, in ms since 1970. */
  readonly atMs: number
  /** How long the machine had run, in ms. */
  readonly uptimeMs: number
  /** How much more time may have passed while the machine was off, in ms. */
  readonly owedMs: number
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
  /** How much of the time that the machine was off is believed to have passed after it has run for `ranMs`. */
  readonly catchUpMs: (ranMs: number) => number
}

/** A clock before this program was written is wrong (a board without a battery starts in 1970), and bounds no later one. */
const EARLIEST_MS = Date.UTC(2026, 0, 1)

/**
 * The part of the time that a machine ran by which the clock comes up with the right one, whatever it was that it missed: a
 * machine may be halted without a start, as virtual ones are.
 */
const DRIFT = 0.1

/**
 * A clock that is believed only as far as the machine has run: what is removed by it, once for all, is not removed because
 * the clock of the machine was ahead for a while. It is behind that of the machine after the machine was off.
 */
export class BelievedClock {
  constructor(
    private readonly readings: ClockReadings,
    private readonly options: BelievedClockOptions
  ) {}

  /**
   * Notes the first reading, believed up to `latestMs`, or one after a start of the machine, whose time off shows in it. To be
   * called when the process starts: later a start may no longer show.
   */
  async begin(latestMs: () => Promise<number>): Promise<void> {
    const former = await this.readings.clockReading()
    const { nowMs, uptimeMs } = this.#look()
    if (former === undefined) {
      const atMs = Math.min(nowMs, await latestMs())
      await this.readings.noteClock({ atMs, uptimeMs, owedMs: nowMs - atMs })
    } else if (uptimeMs < former.uptimeMs) await this.advance()
  }

  /** How long the machine has run since the last reading, at least, in ms; undefined where there is none. */
  async ranMs(): Promise<number | undefined> {
    const former = await this.readings.clockReading()
    return former === undefined ? undefined : ranMs(former, this.#look())
  }

  /** Notes a reading. @returns the time that is certain to have come, in ms since 1970 */
  async advance(): Promise<number> {
    const former = await this.readings.clockReading()
    const look = this.#look()
    const reading =
      former === undefined || former.atMs < EARLIEST_MS
        ? { atMs: look.nowMs, uptimeMs: look.uptimeMs, owedMs: 0 }
        : this.#after(former, look)
    await this.readings.noteClock(reading)
    return reading.atMs
  }

  #after(former: ClockReading, { nowMs, uptimeMs }: Look): ClockReading {
    const ran = ranMs(former, { uptimeMs })
    const hasStarted = uptimeMs < former.uptimeMs
    const owedMs = hasStarted ? Math.max(former.owedMs, nowMs - former.atMs - ran) : former.owedMs
    const paidMs = Math.min(owedMs, this.options.catchUpMs(ran))
    const atMs = Math.min(nowMs, former.atMs + Math.floor(ran * (1 + DRIFT) + paidMs))
    return { atMs, uptimeMs, owedMs: Math.max(0, Math.min(owedMs - paidMs, nowMs - atMs)) }
  }

  #look(): Look {
    const { now, uptime = () => machineUptime() * 1_000 } = this.options
    return { nowMs: Math.floor(now()), uptimeMs: Math.floor(uptime()) }
  }
}

/** The clock of the machine, and how long that has run. */
interface Look {
  readonly nowMs: number
  readonly uptimeMs: number
}

/** The time that has passed at least. A lower uptime: the machine has started since. */
function ranMs(former: ClockReading, { uptimeMs }: Pick<Look, 'uptimeMs'>): number {
  return uptimeMs >= former.uptimeMs ? uptimeMs - former.uptimeMs : uptimeMs
}

/**
 * The time that has come for certain, in ms since 1970: as the last reading says, and as long after as the machine has run.
 * @param uptime in ms, since the machine started
 * @returns undefined where there is no reading
 */
export async function certainTime(
  readings: Pick<ClockReadings, 'clockReading'>,
  uptime: () => number = () => machineUptime() * 1_000
): Promise<number | undefined> {
  const former = await readings.clockReading()
  return former && former.atMs + Math.floor(ranMs(former, { uptimeMs: uptime() }))
}
