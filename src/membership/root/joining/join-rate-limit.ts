import { RelayError } from '../../../values/failures/relay-error.js'

const MAX_NAMES = 10_000

/** How often something may happen within a window, for each name; so many names are counted, the oldest forgotten first. */
export class JoinRateLimit {
  readonly #counts = new Map<string, { sinceMs: number; count: number }>()

  /**
   * @param now in ms, of a clock that only goes forward
   * @param refusal what a caller is told beyond `max`
   */
  constructor(
    private readonly max: number,
    private readonly windowMs: number,
    private readonly now: () => number = () => performance.now(),
    private readonly refusal = (seconds: number) =>
      `refused ${max} times already; wait ${seconds} s, and check the token`
  ) {}

  /** @throws {RelayError} BUSY when it has happened too often */
  check(name: string): void {
    const known = this.#counts.get(name)
    if (known === undefined || this.#isOver(known) || known.count < this.max) return
    const seconds = Math.ceil((known.sinceMs + this.windowMs - this.now()) / 1_000)
    throw new RelayError('BUSY', this.refusal(seconds))
  }

  count(name: string): void {
    const known = this.#counts.get(name)
    if (known !== undefined && !this.#isOver(known)) {
      known.count += 1
      return
    }
    this.#counts.delete(name)
    this.#counts.set(name, { sinceMs: this.now(), count: 1 })
    const [oldest] = this.#counts.keys()
    if (this.#counts.size > MAX_NAMES && oldest !== undefined) this.#counts.delete(oldest)
  }

  #isOver({ sinceMs }: { readonly sinceMs: number }): boolean {
    return this.now() - sinceMs >= this.windowMs
  }
}
