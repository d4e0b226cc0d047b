/** Ids that wait for work, each once. So many at a time are worked on, in the order in which they came. */
export class IdQueue {
  readonly #waiting = new Set<string>()
  readonly #workers = new Set<Promise<void>>()
  #isClosed = false

  /** @param work must not reject */
  constructor(
    private readonly atOnce: number,
    private readonly work: (id: string) => Promise<void>
  ) {}

  /** An id that is being worked on comes again; one that waits does not. */
  add(ids: Iterable<string>): void {
    if (this.#isClosed) return
    for (const id of ids) this.#waiting.add(id)
    const missing = Math.min(this.atOnce - this.#workers.size, this.#waiting.size)
    for (let started = 0; started < missing; started += 1) {
      const worker = this.#run().finally(() => {
        this.#workers.delete(worker)
        this.add([]) // who came as it ended
      })
      this.#workers.add(worker)
    }
  }

  delete(id: string): void {
    this.#waiting.delete(id)
  }

  /** Begins nothing more. @returns resolves when what was begun has ended */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#waiting.clear()
    await Promise.all(this.#workers)
  }

  async #run(): Promise<void> {
    for (const id of this.#waiting) {
      this.#waiting.delete(id)
      await this.work(id)
    }
  }
}
