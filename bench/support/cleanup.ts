/** Undoes, last first, what was set up. */
export class Cleanup {
  readonly #tasks: (() => Promise<void> | void)[] = []

  add(task: () => Promise<void> | void): void {
    this.#tasks.push(task)
  }

  /** All of it, even when a part fails. @throws the first failure */
  async run(): Promise<void> {
    const failures: unknown[] = []
    for (let task = this.#tasks.pop(); task !== undefined; task = this.#tasks.pop()) {
      try {
        await task()
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0]
  }
}
