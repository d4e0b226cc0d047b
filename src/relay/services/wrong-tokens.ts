import { createHash } from 'node:crypto'
import { WindowCounts } from '../../network/sources/window-counts.js'

/**
 * Different wrong tokens from one source within a minute; beyond, none from there is looked up. The same one again does
 * not count: programs with a token that was removed ask for ever, and others may share their address.
 */
export const MAX_WRONG_TOKENS = 600
const MINUTE_MS = 60_000
const MAX_SOURCES = 10_000

/** Counts the guesses of each source. */
export class WrongTokens {
  readonly #counts: WindowCounts
  /** The hash of the token that a source showed last. */
  readonly #last = new Map<string, string>()

  /** @param now in ms, of a clock that only goes forward */
  constructor(now?: () => number) {
    this.#counts = new WindowCounts(MAX_WRONG_TOKENS, MINUTE_MS, now)
  }

  /** The time until tokens of a source are looked up again; 0: they are. */
  waitMs(source: string): number {
    return this.#counts.waitMs(source)
  }

  count(source: string, token: string): void {
    const hash = createHash('sha256').update(token).digest('base64')
    if (this.#last.get(source) === hash) return
    this.#last.delete(source)
    this.#last.set(source, hash)
    const [oldest] = this.#last.keys()
    if (this.#last.size > MAX_SOURCES && oldest !== undefined) this.#last.delete(oldest)
    this.#counts.count(source)
  }
}
