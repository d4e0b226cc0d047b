/** Texts kept; of further ones only the number. */
const MAX_KEPT = 20

/** Collects what a user should hear of, without end in sight. */
export class Warnings {
  readonly #kept: string[] = []
  #count = 0

  add(text: string): void {
    this.#count++
    if (this.#kept.length < MAX_KEPT) this.#kept.push(text)
  }

  list(): string[] {
    const more = this.#count - this.#kept.length
    return more > 0 ? [...this.#kept, `and ${more} more like these`] : [...this.#kept]
  }
}
