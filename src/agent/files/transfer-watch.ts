/**
 * The step that the work on a file is at: `local` waits for this machine alone, `answer` for the head of an answer, for which
 * the policy server may first have to pass the whole file on, `bytes` for the next piece or a short answer.
 */
export type TransferStep = 'local' | 'answer' | 'bytes'

/** A link is opened anew after its path was silent for longer: what hangs by then hangs for ever. */
const STALLED_MS = 10_000

/** The time for an answer, as for one of any other request. */
const ANSWER_MS = 300_000

/** Says whether a transfer hangs. Work on this machine never does: no other connection would help it. */
export class TransferWatch {
  #step: TransferStep = 'local'
  #sinceMs = 0

  /**
   * @param stalledMs how long no byte has come or gone when a transfer hangs
   * @param answerMs how long an answer is awaited when it hangs
   */
  constructor(
    private readonly stalledMs = STALLED_MS,
    private readonly answerMs = ANSWER_MS
  ) {}

  /** The step that is waited for now; undefined while it is this machine's. */
  get awaited(): 'answer' | 'bytes' | undefined {
    return this.#step === 'local' ? undefined : this.#step
  }

  /** Called when a step begins, and for each piece that has come or gone. */
  begin(step: TransferStep): void {
    this.#step = step
    this.#sinceMs = performance.now()
  }

  /** The time until it counts as hanging when nothing comes; 0 or less: it hangs. */
  get restMs(): number {
    if (this.#step === 'local') return Number.POSITIVE_INFINITY
    const limitMs = this.#step === 'answer' ? this.answerMs : this.stalledMs
    return this.#sinceMs + limitMs - performance.now()
  }
}
