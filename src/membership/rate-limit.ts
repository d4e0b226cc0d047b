import { RelayError } from '../values/relay-error.js'

const MAX_ADDRESSES = 10_000

/** How often an address may ask within a window; counted for so many addresses, the oldest forgotten first. */
export class RateLimit {
  readonly #counts = new Map<string, { sinceMs: number; count: number }>()

  constructor(
    private readonly max: number,
    private readonly windowMs: number,
    private readonly now: () => number = Date.now
  ) {}

  /** @throws {RelayError} BUSY when it has asked too often */
  count(address: string): void {
    const nowMs = this.now()
    const known = this.#counts.get(address)
    const isOver = known === undefined || nowMs - known.sinceMs >= this.windowMs || nowMs < known.sinceMs
    const entry = isOver ? { sinceMs: nowMs, count: 0 } : known
    entry.count += 1
    if (isOver) {
      this.#counts.delete(address)
      this.#counts.set(address, entry)
      const [oldest] = this.#counts.keys()
      if (this.#counts.size > MAX_ADDRESSES && oldest !== undefined) this.#counts.delete(oldest)
    }
    if (entry.count > this.max) throw new RelayError('BUSY', 'too many joins from this address; wait a minute')
  }
}
