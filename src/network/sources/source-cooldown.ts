/** Sources that have to wait a while. Each has a timer while it rests, and nothing afterwards. */
export class SourceCooldown {
  readonly #ends = new Map<string, { readonly atMs: number; readonly timer: NodeJS.Timeout }>()

  /** @param onEnd called when a source has rested */
  constructor(private readonly onEnd: (source: string) => void) {}

  has(source: string): boolean {
    return this.#ends.has(source)
  }

  /** Rests from now on for `ms`; where it rests longer already, for that long. */
  begin(source: string, ms: number): void {
    const atMs = performance.now() + ms
    const before = this.#ends.get(source)
    if (before !== undefined && before.atMs >= atMs) return
    clearTimeout(before?.timer)
    const timer = setTimeout(() => this.end(source), ms).unref()
    this.#ends.set(source, { atMs, timer })
  }

  /** Rests for `ms` more than it does already, but for no longer than `mostMs` from now on. */
  extend(source: string, ms: number, mostMs: number): void {
    const leftMs = Math.max(0, (this.#ends.get(source)?.atMs ?? 0) - performance.now())
    this.begin(source, Math.min(leftMs + ms, mostMs))
  }

  /** Ends it now; harmless when there is none. */
  end(source: string): void {
    const found = this.#ends.get(source)
    if (found === undefined) return
    clearTimeout(found.timer)
    this.#ends.delete(source)
    this.onEnd(source)
  }
}
