import { uptime as machineUptime } from 'node:os'
import type { ClockReading, MemberRepository } from './member-repository.js'

/** How long tokens and certificates that ended are still known, so that a refusal can say so. */
const REMEMBERED_MS = 30 * 24 * 3_600_000
const APART_MS = 24 * 3_600_000

type Records = Pick<
  MemberRepository,
  'forgetEnded' | 'forgetRevokedTokens' | 'clockReading' | 'noteClock' | 'newestRecordMs'
>

/**
 * Forgets what ended long ago, by a clock that is believed only as far as the machine has run: what one that was ahead
 * for a while took for ended, tokens and revocations above all, has to be there again when it is set right.
 */
export class Forgetting {
  /** @param uptime in ms, since the machine started */
  constructor(
    private readonly repository: Records,
    private readonly now: () => number,
    private readonly uptime: () => number = () => machineUptime() * 1_000
  ) {}

  /** Forgets nothing more often than once a day. */
  async forget(): Promise<void> {
    const former = await this.repository.clockReading()
    if (former === undefined) return this.repository.noteClock(await this.#firstReading())
    if (ranMs(former, this.#reading()) >= APART_MS) await this.#forgetAfter(former)
  }

  /** Forgets what it can, where there is no room left: revoked tokens as well, which are known only for their refusal. */
  async makeRoom(): Promise<void> {
    const former = await this.repository.clockReading()
    if (former !== undefined) await this.#forgetAfter(former)
    await this.repository.forgetRevokedTokens()
  }

  async #forgetAfter(former: ClockReading): Promise<void> {
    const reading = believed(former, this.#reading())
    await this.repository.noteClock(reading)
    await this.repository.forgetEnded(reading.atMs - REMEMBERED_MS)
  }

  /** The first reading, which no former one bounds: it is believed up to a day after the newest record. */
  async #firstReading(): Promise<ClockReading> {
    const reading = this.#reading()
    const newestMs = (await this.repository.newestRecordMs()) ?? reading.atMs
    return { ...reading, atMs: Math.min(reading.atMs, newestMs + APART_MS) }
  }

  #reading(): ClockReading {
    return { atMs: Math.floor(this.now()), uptimeMs: Math.floor(this.uptime()) }
  }
}

/**
 * The time that is certain to have come. The clock is believed as far as the machine has run since the former reading,
 * and a day more at most, by which it comes up again with a machine that was off.
 */
function believed(former: ClockReading, reading: ClockReading): ClockReading {
  const ran = ranMs(former, reading)
  return { ...reading, atMs: Math.min(reading.atMs, former.atMs + ran + Math.min(ran, APART_MS)) }
}

/** The time that has passed at least. A lower uptime: the machine has started since. */
function ranMs(former: ClockReading, { uptimeMs }: ClockReading): number {
  return uptimeMs >= former.uptimeMs ? uptimeMs - former.uptimeMs : uptimeMs
}
