/** A run that has commands to start. */
export interface CommandSource {
  /** Starts the next one. @returns what resolves when it has ended, or undefined when there is none left */
  startNext(): Promise<void> | undefined
}

/**
 * The places for commands that run at once, shared by all runs of a relay. Runs take turns, so a run of one node does
 * not wait behind one of ten thousand.
 */
export class CommandSlots {
  readonly #sources: CommandSource[] = []
  #running = 0
  #scheduled = false

  /** @param count `remote_run.concurrency` */
  constructor(readonly count: number) {}

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
      this.#startSome()
    })
  }

  /** One command a turn of the event loop, so that a thousand of them do not hold up requests. */
  #startSome(): void {
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
