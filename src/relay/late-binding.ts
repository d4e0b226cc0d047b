/**
 * A part that others refer to before it can be made, since it needs them in turn. They may hold it from the start, and
 * ask for it only once the relay runs.
 */
export class Late<T> {
  #value: { readonly made: T } | undefined

  /** @param name for the error, such as `the links` */
  constructor(private readonly name: string) {}

  /** @returns the same value */
  set(value: T): T {
    this.#value = { made: value }
    return value
  }

  /** @throws {Error} before {@link set}: parts are put together in the wrong order */
  get(): T {
    if (this.#value === undefined) throw new Error(`${this.name} is asked for before it is made`)
    return this.#value.made
  }
}
