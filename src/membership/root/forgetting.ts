import { BelievedClock } from '../../process/believed-clock.js'
import type { MemberRepository } from './member-repository.js'

/** How long tokens and certificates that ended are still known, so that a refusal can say so. */
const REMEMBERED_MS = 30 * 24 * 3_600_000
const APART_MS = 24 * 3_600_000

type Records = Pick<
  MemberRepository,
  'forgetEnded' | 'forgetRevokedTokens' | 'clockReading' | 'noteClock' | 'newestRecordMs'
>

/**
 * Forgets what ended long ago, by a believed clock: what one that was ahead for a while took for ended, tokens and
 * revocations above all, has to be there again when it is set right.
 */
export class Forgetting {
  readonly #clock: BelievedClock

  /** @param uptime in ms, since the machine started */
  constructor(
    private readonly repository: Records,
    private readonly now: () => number,
    uptime?: () => number
  ) {
    this.#clock = new BelievedClock(repository, { now, uptime, catchUpMs: ranMs => Math.min(ranMs, APART_MS) })
  }

  /** Forgets nothing more often than once a day. */
  async forget(): Promise<void> {
    await this.#clock.begin(() => this.#latestFirstMs())
    const ranMs = await this.#clock.ranMs()
    if (ranMs !== undefined && ranMs >= APART_MS) await this.#forgetEnded()
  }

  /** Forgets what it can, where there is no room left: revoked tokens as well, which are known only for their refusal. */
  async makeRoom(): Promise<void> {
    if ((await this.#clock.ranMs()) !== undefined) await this.#forgetEnded()
    await this.repository.forgetRevokedTokens()
  }

  async #forgetEnded(): Promise<void> {
    await this.#clock.during(believedMs => this.repository.forgetEnded(believedMs - REMEMBERED_MS))
  }

  /** No former reading bounds the first one: it is believed up to a day after the newest record. */
  async #latestFirstMs(): Promise<number> {
    return ((await this.repository.newestRecordMs()) ?? this.now()) + APART_MS
  }
}
