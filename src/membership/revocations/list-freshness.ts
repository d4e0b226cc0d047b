import { thisMachine } from '../../process/running-time.js'
import { EARLIEST_MS } from '../../values/time/earliest-time.js'
import type { ListConfirmation } from './list-confirmation.js'

/** The bounds of the time, as a relay knows it, in ms since 1970: it lies between both. */
export interface BelievedTime {
  readonly earliestMs: number
  readonly latestMs: number
}

/** Tells how well a relay knows what the root has revoked, and what time it is. */
export interface Freshness {
  /** How long ago the list here was the newest for sure; infinite: nobody has said so since this process began. */
  ageMs(): number
  /** Undefined while it is not known. */
  time(): BelievedTime | undefined
}

/**
 * The freshness at a relay below the root, by the root's confirmations. Steps of this machine's clock change nothing:
 * what counts is the root's clock, and how long the machine has run since.
 */
export class ConfirmedFreshness implements Freshness {
  #last: { readonly askedAtMs: number; readonly answeredAtMs: number; readonly timeMs: number } | undefined

  /** @param uptime in ms, since the machine started; the time for which it sleeps counts */
  constructor(private readonly uptime: () => number = thisMachine().uptime) {}

  /** The time for {@link confirmed}, in ms. */
  now(): number {
    return this.uptime()
  }

  /** @param askedAtMs when the question left, by {@link now} */
  confirmed(askedAtMs: number, { timeMs }: Pick<ListConfirmation, 'timeMs'>): void {
    this.#last = { askedAtMs, answeredAtMs: this.uptime(), timeMs }
  }

  ageMs(): number {
    return this.#last === undefined ? Number.POSITIVE_INFINITY : this.uptime() - this.#last.askedAtMs
  }

  time(): BelievedTime | undefined {
    if (this.#last === undefined) return undefined
    const { askedAtMs, answeredAtMs, timeMs } = this.#last
    const now = this.uptime()
    return { earliestMs: timeMs + now - answeredAtMs, latestMs: timeMs + now - askedAtMs }
  }
}

/**
 * The freshness at the root, which makes the list. A clock that is set back while the relay runs does not make tokens
 * good again that have ended.
 */
export class RootFreshness implements Freshness {
  readonly #startedAtMs: number
  readonly #wallAtStartMs: number

  constructor(
    private readonly wall: () => number = Date.now,
    private readonly uptime: () => number = thisMachine().uptime
  ) {
    this.#startedAtMs = uptime()
    this.#wallAtStartMs = wall()
  }

  ageMs(): number {
    return 0
  }

  time(): BelievedTime | undefined {
    const nowMs = this.wall()
    if (nowMs < EARLIEST_MS) return undefined
    const atLeastMs = this.#wallAtStartMs + this.uptime() - this.#startedAtMs
    return { earliestMs: nowMs, latestMs: Math.max(nowMs, atLeastMs) }
  }
}
