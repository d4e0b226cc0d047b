import { RunningTime, thisMachine } from '../../process/running-time.js'
import type { MemberRepository } from './member-repository.js'

/** How long tokens and certificates that ended are still known, so that a refusal can say so. */
const REMEMBERED_MS = 30 * 24 * 3_600_000
const APART_MS = 24 * 3_600_000

type Records = Pick<MemberRepository, 'forgetEnded' | 'forgetRevokedTokens' | 'runningTime' | 'noteRunningTime'>

/**
 * Forgets what ended long ago, once the machine has run for long enough since it was seen to have ended: what a clock that was
 * ahead for a while took for ended, tokens and revocations above all, has to be there again when it is set right.
 */
export class Forgetting {
  readonly #time: RunningTime
  #lookedAtMs = Number.NEGATIVE_INFINITY

  /** @param uptime in ms, since the machine started */
  constructor(
    private readonly repository: Records,
    private readonly now: () => number,
    uptime?: () => number
  ) {
    this.#time = new RunningTime(repository, thisMachine(uptime))
  }

  /** Forgets nothing more often than once a day. */
  async forget(): Promise<void> {
    const ranMs = await this.#time.ms()
    if (ranMs - this.#lookedAtMs < APART_MS) return
    this.#lookedAtMs = ranMs
    await this.#forgetEnded()
  }

  /** Forgets what it can, where there is no room left: revoked tokens as well, which are known only for their refusal. */
  async makeRoom(): Promise<void> {
    await this.#forgetEnded()
    await this.repository.forgetRevokedTokens()
  }

  async #forgetEnded(): Promise<void> {
    await this.repository.forgetEnded(this.now(), await this.#time.ms(), REMEMBERED_MS)
    await this.#time.note()
  }
}
