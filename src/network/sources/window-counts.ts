const MAX_NAMES = 10_000

/** Counts how often something happens within a window, for each name; so many names are counted, the oldest forgotten first. */
export class WindowCounts {
  readonly #counts = new Map<string, { sinceMs: number; count: number }>()

  /**
   * @param max times within the window
   * @param now in ms, of a clock that only goes forward
   */
  constructor(
    private readonly max: number,
    private readonly windowMs: number,
    private readonly now: () => number = () => performance.now()
  ) {}

  /** The time until it may happen again; 0 where it may now. */
  waitMs(name: string): number {
    const known = this.#counts.get(name)
    if (known === undefined || known.count < this.max) return 0
    return Math.max(0, known.sinceMs + this.windowMs - this.now())
  }

  count(name: string): void {
    const known = this.#counts.get(name)
    if (known !== undefined && this.now() - known.sinceMs < this.windowMs) {
      known.count += 1
      return
    }
    this.#counts.delete(name)
    this.#counts.set(name, { sinceMs: this.now(), count: 1 })
    const [oldest] = this.#counts.keys()
    if (this.#counts.size > MAX_NAMES && oldest !== undefined) this.#counts.delete(oldest)
  }
}
