import { uptime as machineUptime } from 'node:os'
import { EARLIEST_MS } from '../values/time/earliest-time.js'

/** The knowledge of a believed clock at one moment. */
export interface ClockReading {
  /** The time that was believed, in ms since 1970: never later than the clock, and so set back with it. */
  readonly atMs: number
  /** The latest time that was ever believed, and as long after as the machine has run. A clock that is behind it is not known to be right. */
  readonly certainMs: number
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
      await this.readings.noteClock({ atMs, certainMs: atMs, uptimeMs, owedMs: nowMs - atMs })
    } else if (uptimeMs < former.uptimeMs) await this.during(async () => undefined)
  }

  /** How long the machine has run since the last reading, at least, in ms; undefined where there is none. */
  async ranMs(): Promise<number | undefined> {
    const former = await this.readings.clockReading()
    return former === undefined ? undefined : ranMs(former, this.#look())
  }

  /**
   * Works by the time that is believed, in ms since 1970, and then notes the reading: work that makes room on a full disk is
   * done before anything has to be written.
   */
  async during<T>(work: (believedMs: number) => Promise<T>): Promise<T> {
    const former = await this.readings.clockReading()
    const look = this.#look()
    const reading = former === undefined ? begun(look) : this.#after(former, look)
    const result = await work(reading.atMs)
    await this.readings.noteClock(reading)
    return result
  }

  #after(former: ClockReading, look: Look): ClockReading {
    const believed = former.atMs < EARLIEST_MS ? begun(look) : this.#believed(former, look)
    return {
      ...believed,
      uptimeMs: look.uptimeMs,
      certainMs: Math.max(former.certainMs + ranMs(former, look), believed.atMs)
    }
  }

  #believed(former: ClockReading, { nowMs, uptimeMs }: Look): Pick<ClockReading, 'atMs' | 'owedMs'> {
    const ran = ranMs(former, { uptimeMs })
    const hasStarted = uptimeMs < former.uptimeMs
    const owedMs = hasStarted ? Math.max(former.owedMs, nowMs - former.atMs - ran) : former.owedMs
    const paidMs = Math.min(owedMs, this.options.catchUpMs(ran))
    const atMs = Math.min(nowMs, former.atMs + Math.floor(ran * (1 + DRIFT) + paidMs))
    return { atMs, owedMs: Math.max(0, Math.min(owedMs - paidMs, nowMs - atMs)) }
  }

  #look(): Look {
    const { now, uptime = () => machineUptime() * 1_000 } = this.options
    return { nowMs: Math.floor(now()), uptimeMs: Math.floor(uptime()) }
  }
}

function begun({ nowMs, uptimeMs }: Look): ClockReading {
  return { atMs: nowMs, certainMs: nowMs, uptimeMs, owedMs: 0 }
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
