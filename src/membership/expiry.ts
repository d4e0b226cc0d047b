import { setTimeout as sleep } from 'node:timers/promises'
import type { MemberStore } from '../storage/member-store.js'
import type { Logger } from '../values/logger.js'

const LOOK_EVERY_MS = 5_000

/** Takes certificates out of the tree when their life ends, since nobody looks at their dates when they are shown. */
export class ExpiryWatch {
  readonly #stopping = new AbortController()
  #ended: Promise<void> | undefined

  constructor(
    private readonly options: {
      readonly store: Pick<MemberStore, 'nextEnd'>
      readonly publish: () => Promise<void>
      readonly logger: Logger
      readonly now: () => number
    }
  ) {}

  start(): void {
    this.#ended ??= this.#watch()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#ended
  }

  async #watch(): Promise<void> {
    const { store, publish, logger, now } = this.options
    const { signal } = this.#stopping
    let lookedAtMs = now()
    while (!signal.aborted) {
      await sleep(LOOK_EVERY_MS, undefined, { signal, ref: false }).catch(() => undefined) // aborted: it ends
      if (signal.aborted) return
      const nowMs = now()
      const endMs = store.nextEnd(lookedAtMs)
      lookedAtMs = nowMs
      if (endMs === undefined || endMs > nowMs) continue
      await publish().catch((err: unknown) => logger.error({ err }, 'the tree of the members could not be renewed'))
    }
  }
}
