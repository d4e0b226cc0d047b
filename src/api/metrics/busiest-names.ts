/** Names that have series of their own, at most. */
export const MAX_SERIES_NAMES = 100
/** The name of all others together. */
export const OTHER = 'other'

/** Names that are counted. */
const MAX_COUNTED_NAMES = 10_000
/** All counts are halved after so many, so that what was busy once does not stay first for ever. */
const HALVED_AFTER = 100_000

/**
 * The busiest of many names, for the labels of metrics. A name that becomes far busier than one that has a series takes its
 * place: the series of that one ends, so that no counter ever jumps.
 */
export class BusiestNames {
  readonly #counts = new Map<string, number>()
  readonly #named = new Set<string>()
  #counted = 0
  /** No name that has a series has a lower count. */
  #least = 0

  /** @param onEnded called with a name whose series ends */
  constructor(
    private readonly onEnded: (name: string) => void,
    private readonly max = MAX_SERIES_NAMES
  ) {}

  /** Counts one. @returns the name, or {@link OTHER} */
  count(name: string): string {
    this.#counted += 1
    if (this.#counted % HALVED_AFTER === 0) this.#halve()
    const before = this.#counts.get(name)
    if (before === undefined && this.#counts.size >= MAX_COUNTED_NAMES) return OTHER
    const count = (before ?? 0) + 1
    this.#counts.set(name, count)
    if (this.#named.has(name)) return name
    if (this.#named.size < this.max) this.#named.add(name)
    else if (count <= 2 * this.#least || !this.#takesPlace(name, count)) return OTHER
    return name
  }

  #takesPlace(name: string, count: number): boolean {
    let least: { readonly name: string; readonly count: number } | undefined
    for (const other of this.#named) {
      const ofOther = this.#counts.get(other) ?? 0
      if (least === undefined || ofOther < least.count) least = { name: other, count: ofOther }
    }
    if (least === undefined) return false
    this.#least = least.count
    if (count <= 2 * least.count) return false
    this.#named.delete(least.name)
    this.#named.add(name)
    this.onEnded(least.name)
    return true
  }

  #halve(): void {
    this.#least = 0
    for (const [name, count] of this.#counts) {
      if (count > 1) this.#counts.set(name, Math.floor(count / 2))
      else if (!this.#named.has(name)) this.#counts.delete(name)
    }
  }
}
