import type { MemberRepository } from './member-repository.js'

/** How long tokens and certificates that ended are still known, so that a refusal can say so. */
const REMEMBERED_MS = 30 * 24 * 3_600_000
const APART_MS = 24 * 3_600_000

/**
 * Forgets what ended long ago, by two readings of the clock with a day of running between them: what a clock that was
 * ahead for a while took for ended, revocations above all, has to be there again when it is set right.
 */
export class Forgetting {
  #former: { readonly atMs: number; readonly uptimeMs: number } | undefined

  /** @param uptime in ms, of a clock that only goes forward */
  constructor(
    private readonly repository: Pick<MemberRepository, 'forgetEnded'>,
    private readonly now: () => number,
    private readonly uptime: () => number = () => performance.now()
  ) {}

  /** Forgets nothing more often than once a day. */
  async forget(): Promise<void> {
    const reading = { atMs: this.now(), uptimeMs: this.uptime() }
    const former = this.#former
    if (former !== undefined && reading.uptimeMs - former.uptimeMs < APART_MS) return
    if (former !== undefined) {
      await this.repository.forgetEnded(Math.min(former.atMs, reading.atMs) - REMEMBERED_MS)
    }
    this.#former = reading
  }

  /** Forgets by the clock as it is, where there is no room left. */
  forgetNow(): Promise<void> {
    return this.repository.forgetEnded(this.now() - REMEMBERED_MS)
  }
}
