import { setTimeout as sleep } from 'node:timers/promises'
import { failureKind } from '../../values/failures/system-error.js'
import type { Logger } from '../../values/logging/logger.js'
import type { MemberRepository } from './member-repository.js'

const LOOK_EVERY_MS = 5_000

/**
 * Takes certificates out of the tree when their life ends, since nobody looks at their dates when they are shown.
 * Certificates that ended by a clock that was ahead come back when it is set right.
 */
export class ExpiryWatch {
  readonly #stopping = new AbortController()
  #ended: Promise<void> | undefined

  /** @param lookEveryMs how often the clock is looked at */
  constructor(
    private readonly options: {
      readonly repository: Pick<MemberRepository, 'nextEnd'>
      readonly publish: () => Promise<void>
      /** Forgets what ended long ago; asked at each look. */
      readonly forget: () => Promise<void>
      /** Whether a change of the members is not in the tree yet: a disk was full, or could not be written. */
      readonly isBehind: () => Promise<boolean>
      readonly logger: Logger
      readonly now: () => number
    },
    private readonly lookEveryMs = LOOK_EVERY_MS
  ) {}

  start(): void {
    this.#ended ??= this.#watch()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#ended
  }

  async #watch(): Promise<void> {
    const { repository, publish, forget, isBehind, logger, now } = this.options
    const { signal } = this.#stopping
    let lookedAtMs = now()
    let told: string | undefined
    while (!signal.aborted) {
      await sleep(this.lookEveryMs, undefined, { signal, ref: false }).catch(() => undefined) // aborted: it ends
      if (signal.aborted) return
      await forget().catch((err: unknown) =>
        logger.error({ err }, 'cannot forget ended tokens and certificates; trying again in a day')
      )
      const nowMs = now()
      const wasSetBack = nowMs < lookedAtMs
      try {
        const endMs = await repository.nextEnd(lookedAtMs)
        const hasEnded = endMs !== undefined && endMs <= nowMs
        if (hasEnded || wasSetBack || (await isBehind())) await publish()
        lookedAtMs = nowMs
        told = undefined
      } catch (err) {
        // a disk may be full for hours: once for each reason
        if (failureKind(err) !== told) logger.error({ err }, 'cannot publish the tree; trying again')
        told = failureKind(err)
      }
    }
  }
}
