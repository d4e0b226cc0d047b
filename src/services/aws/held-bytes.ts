/** A bound on the bytes of all bodies that are held at once in this process. */
export class HeldBytes {
  #held = 0

  constructor(private readonly max: number) {}

  /** @returns whether there was room; nothing is taken without */
  take(bytes: number): boolean {
    if (this.#held + bytes > this.max) return false
    this.#held += bytes
    return true
  }

  release(bytes: number): void {
    this.#held -= bytes
  }
}
