/** A run that has commands to start. */
export interface CommandSource {
  /** Starts the next one. @returns what resolves when it has ended, or undefined when there is none left */
  startNext(): Promise<void> | undefined
}

/**
 * The slots for commands that run at once, shared by all runs of a relay. Runs take turns, so a run of one node does
 * not wait behind one of ten thousand.
 */
export class ConcurrencyLimiter {
  readonly #sources: CommandSource[] = []
  #running = 0
  #scheduled = false

  /**
   * @param count how many run at once: `remote_run.concurrency` for commands
   * @param perTurn how many are started in one turn of the event loop
   */
  constructor(
    readonly count: number,
    private readonly perTurn = 1
  ) {}

  get running(): number {
    return this.#running
  }

  /** Asks `source` for commands, in turn with the others, until it has none. */
  add(source: CommandSource): void {
    this.#sources.push(source)
    this.#schedule()
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      for (let started = 0; started < this.perTurn; started += 1) this.#startOne()
    })
  }

  /** Starts one, by default one a turn of the event loop, so that a thousand commands do not hold up requests. */
  #startOne(): void {
    if (this.#running >= this.count) return
    const source = this.#sources.shift()
    if (source === undefined) return
    const ended = source.startNext()
    if (ended !== undefined) {
      this.#running += 1
      this.#sources.push(source)
      ended.finally(() => {
        this.#running -= 1
        this.#schedule()
      })
    }
    this.#schedule()
  }
}
