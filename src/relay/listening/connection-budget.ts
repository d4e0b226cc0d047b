export interface BudgetOptions {
  /** Connections of all listeners together. */
  readonly total: number
  readonly listeners: number
  /** Connections of a listener, at most. */
  readonly max: number
}

/**
 * The connections that the listeners of a process may have together. Half of them is divided equally: so many each has for
 * certain. The other half goes to the listeners that need it, such as the one that all links of a tree come to.
 */
export class ConnectionBudget {
  /** Connections that each listener has for certain. */
  readonly certain: number
  /** Connections of a listener, at most: what the others have for certain is not its own. */
  readonly max: number
  #left: number

  constructor({ total, listeners, max }: BudgetOptions) {
    const certain = Math.floor(total / 2 / listeners)
    this.certain = Math.min(max, certain)
    this.max = Math.min(max, total - (listeners - 1) * certain)
    this.#left = total - listeners * certain
  }

  /** The part of one listener. @param certain connections that it has for certain: none for one that was not counted */
  part(certain = this.certain): ConnectionPart {
    let held = 0
    const { max } = this
    return {
      max,
      hasRoom: () => held < certain || (held < max && this.#left > 0),
      take: () => {
        held += 1
        if (held > certain) this.#left -= 1
      },
      giveBack: () => {
        if (held > certain) this.#left += 1
        held -= 1
      }
    }
  }
}

/** The connections of one listener. */
export interface ConnectionPart {
  readonly max: number
  /** Whether it may take one more. */
  hasRoom(): boolean
  take(): void
  giveBack(): void
}
