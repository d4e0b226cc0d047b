import { createWorkQueue } from './work-queue.js'

/** How long work on what one neighbour sends may go on before others have their turn. */
const MAX_TURN_MS = 4

/** Stretches of work are resumed one in each turn of the event loop, however many there are. */
const resume = createWorkQueue(1)

/**
 * Limits how long a loop over what is there already works on without a pause: as long as there is more, awaiting it takes no
 * turn of the event loop.
 */
export class TurnLimit {
  #begunMs = performance.now()

  get isOver(): boolean {
    return performance.now() - this.#begunMs >= MAX_TURN_MS
  }

  /** Resolves once others have had their turn. */
  async next(): Promise<void> {
    await new Promise<void>(resolve => resume(resolve))
    this.#begunMs = performance.now()
  }
}
