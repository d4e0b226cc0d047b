/** The bytes in a piece that pay for it: what a piece costs does not depend on its length. */
const BYTES_PER_PIECE = 64

export interface PieceLimits {
  /** The pieces without content that the other side may be ahead. */
  readonly ahead: number
  /** The pieces that are forgiven each second. */
  readonly forgivenPerSecond: number
}

/** Small pieces from a neighbour beyond what their bytes pay for; then it is not read for a while. Each takes some 7 us. */
const MAX_NEIGHBOUR_PIECES = 4_096
const NEIGHBOUR_PIECES_PER_SECOND = 5_000

/** The budget of a neighbour, on all its connections together. */
export function neighbourPieces(): PieceBudget {
  return new PieceBudget({ ahead: MAX_NEIGHBOUR_PIECES, forgivenPerSecond: NEIGHBOUR_PIECES_PER_SECOND })
}

/** Counts pieces of any kind (messages, frames, chunks) against their bytes. Those that carry next to nothing are a debt. */
export class PieceBudget {
  #debt = 0
  #atMs = 0

  constructor(
    private readonly limits: PieceLimits,
    private readonly now: () => number = () => performance.now()
  ) {}

  /** Counts a piece. @returns whether the debt is within its limit */
  take(bytes: number): boolean {
    const cost = 1 - bytes / BYTES_PER_PIECE
    if (this.#debt === 0 && cost <= 0) return true // so it is with nearly all
    this.#forgive()
    this.#debt = Math.max(0, this.#debt + cost)
    return this.#debt <= this.limits.ahead
  }

  /** The time until the debt is within its limit, in whole ms, as timers take them; 0 where it is. */
  get restMs(): number {
    if (this.#debt <= this.limits.ahead) return 0
    this.#forgive()
    const over = this.#debt - this.limits.ahead
    return over <= 0 ? 0 : Math.ceil((over / this.limits.forgivenPerSecond) * 1_000)
  }

  #forgive(): void {
    const nowMs = this.now()
    this.#debt = Math.max(0, this.#debt - ((nowMs - this.#atMs) / 1_000) * this.limits.forgivenPerSecond)
    this.#atMs = nowMs
  }
}
