import { MAX_STREAMS } from './protocol.js'

/** Frames and messages that bring nothing on, for which the other side needs no reason. We send a handful a minute. */
export const MAX_IDLE_FRAMES = 1_000
const WITHIN_MS = 10_000
/** A request has a head, an end, perhaps trailers, windows and a cancellation; its answer as well. */
const FRAMES_PER_REQUEST = 6
/**
 * The bytes for which one frame without content is allowed. Moved bytes have to be acknowledged by updates of
 * windows: far fewer than this.
 */
const BYTES_PER_FRAME = 4 * 1024
const MAX_EARNED_BY_BYTES = 1_024

export const FLOOD = 'it flooded the link with frames that carry nothing'

/** How much the other side of a link may still say without bringing anything on. */
export class IdleBudget {
  #left = MAX_IDLE_FRAMES
  #open = 0
  #sinceMs = performance.now()
  #movedBefore = 0

  /** @param moved bytes that were moved in either direction so far */
  constructor(private readonly moved: () => number) {}

  /** Counts a frame or message that carries nothing. @returns false when there are too many */
  spend(): boolean {
    this.#left -= 1
    if (this.#left >= 0) return true
    const moved = this.moved()
    const earned = Math.floor((moved - this.#movedBefore) / BYTES_PER_FRAME)
    const nowMs = performance.now()
    const isLongAgo = nowMs - this.#sinceMs >= WITHIN_MS
    if (earned === 0 && !isLongAgo) return false
    this.#movedBefore = moved
    this.#left = Math.min(earned, MAX_EARNED_BY_BYTES) + (isLongAgo ? MAX_IDLE_FRAMES : 0)
    if (isLongAgo) this.#sinceMs = nowMs
    return true
  }

  /** Called when a request begins. */
  requestBegun(): void {
    if (this.#open < MAX_STREAMS) this.#open += 1
    this.#left = Math.min(this.#left + FRAMES_PER_REQUEST, this.#most)
  }

  /** Called when a request has ended: its unused allowance is not left for later. */
  requestEnded(): void {
    if (this.#open > 0) this.#open -= 1
    this.#left = Math.min(this.#left, this.#most)
  }

  get #most(): number {
    return MAX_IDLE_FRAMES + MAX_EARNED_BY_BYTES + FRAMES_PER_REQUEST * this.#open
  }
}
