/** The wait for the head of an answer. */
export class AnswerWait {
  #timer: NodeJS.Timeout | undefined

  /** @param limitMs undefined: as long as it takes */
  constructor(
    private readonly limitMs: number | undefined,
    private readonly onOver: () => void
  ) {}

  /** Begins, where it is not under way: it is the service's turn. */
  begin(): void {
    if (this.limitMs !== undefined) this.#timer ??= setTimeout(this.onOver, this.limitMs)
  }

  /** Ends: the answer is there, or it is the caller's turn. */
  end(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}
