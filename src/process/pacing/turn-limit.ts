/** How long work on what others send may go on in one turn of the event loop before others have theirs. */
const MAX_TURN_MS = 4

/** How many loops go on again in one turn, as far as the time suffices. */
const MAX_RESUMED = 256

/**
 * Limits how long loops over what is there already work in one turn of the event loop, all of them together: as long as
 * there is more, awaiting it takes no turn. Time in which nothing was there to work on does not count.
 */
export class TurnLimit {
  /** When this turn's work began; undefined before it does. */
  #begunMs: number | undefined
  readonly #waiting: (() => void)[] = []
  /** How many of those that wait are called in the next turn. */
  #called = 0
  #isNextScheduled = false

  /** @param maxMs how long the loops may work in one turn */
  constructor(
    private readonly maxMs = MAX_TURN_MS,
    private readonly now: () => number = () => performance.now()
  ) {}

  /** Whether to await {@link next} before more is done. Asking begins the time of a turn: ask right before each piece of work, or right after it. */
  get isOver(): boolean {
    if (this.#begunMs === undefined) {
      this.#begunMs = this.now()
      this.#scheduleNext()
    }
    return this.now() - this.#begunMs >= this.maxMs
  }

  /** Resolves once others have had their turn, and the loops that waited before this one theirs. */
  next(): Promise<void> {
    return new Promise(resolve => {
      this.#waiting.push(resolve)
      this.#callOne()
    })
  }

  /** The next turn begins before any loop is called in it. */
  #scheduleNext(): void {
    if (this.#isNextScheduled) return
    this.#isNextScheduled = true
    setImmediate(() => {
      this.#isNextScheduled = false
      this.#begunMs = undefined
    })
  }

  /** Each loop has a call of its own, so that its work is done, and counts, before another is resumed. */
  #callOne(): void {
    if (this.#called >= Math.min(this.#waiting.length, MAX_RESUMED)) return
    this.#scheduleNext()
    this.#called += 1
    setImmediate(() => {
      this.#called -= 1
      if (!this.isOver) this.#waiting.shift()?.()
      this.#callOne()
    })
  }
}

/** The limit for all that neighbours send in answer to our requests. */
export const neighbourTurns = new TurnLimit()

/**
 * The limit for what callers send that is read once it is complete, and takes a while: one source may complete hundreds
 * of them in the same moment.
 */
export const callerTurns = new TurnLimit()

/** The limit for going through the nodes of runs: hundreds of runs may begin or end in the same moment, each of a large tree. */
export const runTurns = new TurnLimit()
