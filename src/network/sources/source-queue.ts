/** A queue that is fair among sources. The sources take turns; within one, the oldest is first. */
export class SourceQueue<T> implements Iterable<T> {
  readonly #bySource = new Map<string, Set<T>>()
  /** The sources that have so many. */
  readonly #byCount = new Map<number, Set<string>>()
  /** No source has more. */
  #most = 0
  #size = 0

  get size(): number {
    return this.#size
  }

  /** How many the source has that has the most. */
  get most(): number {
    return this.#largest()?.size ?? 0
  }

  countOf(source: string): number {
    return this.#bySource.get(source)?.size ?? 0
  }

  has(source: string, item: T): boolean {
    return this.#bySource.get(source)?.has(item) === true
  }

  add(source: string, item: T): void {
    const items = this.#bySource.get(source) ?? new Set()
    if (items.has(item)) return
    items.add(item)
    this.#bySource.set(source, items)
    this.#size += 1
    this.#recount(source, items.size - 1, items.size)
  }

  delete(source: string, item: T): void {
    const items = this.#bySource.get(source)
    if (items?.delete(item) !== true) return
    this.#size -= 1
    this.#recount(source, items.size + 1, items.size)
    if (items.size === 0) this.#bySource.delete(source)
  }

  /** Moves all of one source to another queue, where they come last. */
  moveAll(source: string, to: SourceQueue<T>): void {
    const items = this.#bySource.get(source)
    if (items === undefined) return
    this.#bySource.delete(source)
    this.#size -= items.size
    this.#recount(source, items.size, 0)
    if (to.#bySource.has(source)) for (const item of items) to.add(source, item)
    else to.#addAll(source, items)
  }

  #addAll(source: string, items: Set<T>): void {
    this.#bySource.set(source, items)
    this.#size += items.size
    this.#recount(source, 0, items.size)
  }

  #recount(source: string, before: number, after: number): void {
    const former = this.#byCount.get(before)
    former?.delete(source)
    if (former?.size === 0) this.#byCount.delete(before)
    if (after === 0) return
    const same = this.#byCount.get(after) ?? new Set()
    this.#byCount.set(after, same.add(source))
    this.#most = Math.max(this.#most, after)
  }

  /** Takes out the oldest of the source whose turn it is. */
  next(): T | undefined {
    const [entry] = this.#bySource
    if (entry === undefined) return undefined
    const [source, items] = entry
    const [item] = items
    if (item === undefined) return undefined
    this.delete(source, item)
    if (this.#bySource.delete(source)) this.#bySource.set(source, items) // its turn comes again after all others
    return item
  }

  /** The oldest of the source that has the most; it stays. */
  oldestOfLargest(): T | undefined {
    return this.#largest()?.values().next().value
  }

  /**
   * The oldest of the source that has the most, where its slot is due to another one: to a source that has none, or at
   * least two fewer. With a difference of one, the two would take the same slot from each other again and again.
   */
  oldestDueTo(source: string): T | undefined {
    const held = this.countOf(source)
    return held < this.most && (held === 0 || held + 1 < this.most) ? this.oldestOfLargest() : undefined
  }

  #largest(): Set<T> | undefined {
    // It is asked for at each newcomer of a crowd: a walk of all sources would take milliseconds.
    while (this.#most > 0 && !this.#byCount.has(this.#most)) this.#most -= 1
    const [source] = this.#byCount.get(this.#most) ?? []
    return source === undefined ? undefined : this.#bySource.get(source)
  }

  *[Symbol.iterator](): Iterator<T> {
    for (const items of this.#bySource.values()) yield* items
  }
}
