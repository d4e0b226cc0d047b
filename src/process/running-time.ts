import { readFileSync } from 'node:fs'
import { uptime as machineUptime } from 'node:os'

/** How long a machine had run at one moment. Times are in ms. */
export interface RunningTimeReading {
  /** In all, while it had these records. */
  readonly ranMs: number
  /** The start of the machine: two starts never have the same id. */
  readonly boot: string
  /** Since that start. */
  readonly uptimeMs: number
}

/** The last reading, which outlives the process. */
export interface RunningTimeReadings {
  runningTime(): Promise<RunningTimeReading | undefined>
  noteRunningTime(reading: RunningTimeReading): Promise<void>
}

/** The machine that the process runs on. */
export interface Machine {
  /** The id of its start; undefined where it has none. */
  readonly boot: string | undefined
  /** In ms, since that start. */
  readonly uptime: () => number
}

/**
 * The most that counts of the time between a start of the machine and the start of the process. A machine that never runs
 * for longer grows older as well; and records that came from another machine do not age by what that one has run.
 */
const MAX_FROM_START_MS = 5 * 60_000

/**
 * Measures how long the machine has run, over all its starts. What is removed by this, once for all, is not removed
 * because a clock is wrong, whichever way, and for however long: no clock has a part in it. It never counts more than
 * has passed, and loses what a machine ran between the last reading and its end, and the time that it is off.
 */
export class RunningTime {
  #since: RunningTimeReading | undefined

  constructor(
    private readonly readings: RunningTimeReadings,
    private readonly machine: Machine = thisMachine()
  ) {}

  /** In ms. It only goes forward. */
  async ms(): Promise<number> {
    return (await this.#read()).ranMs
  }

  /** Notes it, for the next process. */
  async note(): Promise<void> {
    await this.readings.noteRunningTime(await this.#read())
  }

  async #read(): Promise<RunningTimeReading> {
    const uptimeMs = Math.floor(this.machine.uptime())
    const former = this.#since === undefined ? await this.readings.runningTime() : undefined
    this.#since ??= this.#continued(former, uptimeMs) // which another caller may have done meanwhile
    const { ranMs, boot, uptimeMs: sinceMs } = this.#since
    this.#since = { ranMs: ranMs + Math.max(0, uptimeMs - sinceMs), boot, uptimeMs: Math.max(sinceMs, uptimeMs) }
    return this.#since
  }

  #continued(former: RunningTimeReading | undefined, uptimeMs: number): RunningTimeReading {
    const { boot } = this.machine
    const ranMs = former?.ranMs ?? 0
    if (boot === undefined) return { ranMs, boot: '', uptimeMs }
    // a container may start again with the same id, and a lower uptime
    if (boot === former?.boot && uptimeMs >= former.uptimeMs) return former
    return { ranMs: ranMs + Math.min(uptimeMs, MAX_FROM_START_MS), boot, uptimeMs }
  }
}

/** @param uptime in ms @default that of the system */
export function thisMachine(uptime: () => number = () => machineUptime() * 1_000): Machine {
  return { boot: bootId(), uptime }
}

/** Linux alone has one. */
function bootId(): string | undefined {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim() || undefined
  } catch {
    return undefined
  }
}
