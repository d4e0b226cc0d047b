interface Claim {
  readonly owner: Claims
  endsAtMs: number
}

/**
 * The claims of one process, among those of all processes, on things of one kind.
 *
 * A state database belongs to one process at a time, so the claims are kept in its memory, and end with it. That makes
 * them the fence as well: a repository asks {@link holds} in the step that writes, and nothing runs in between.
 */
export class Claims {
  /**
   * @param held the claims of all processes
   * @param now ms of a clock that only goes forward
   */
  constructor(
    private readonly now: () => number = () => performance.now(),
    private readonly held = new Map<string, Claim>()
  ) {}

  /** The claims of another process on the same things. */
  beside(): Claims {
    return new Claims(this.now, this.held)
  }

  /** @returns false while a lease on it lasts */
  take(id: string, leaseMs: number): boolean {
    const claim = this.held.get(id)
    if (claim !== undefined && this.#lasts(claim)) return false
    this.held.set(id, { owner: this, endsAtMs: this.now() + leaseMs })
    return true
  }

  /** Whether nobody else has taken it since this process did. A lease that has ended takes nothing away by itself. */
  holds(id: string): boolean {
    return this.held.get(id)?.owner === this
  }

  /** Makes the lease end so much later than now. @returns whether this process holds it */
  renew(id: string, leaseMs: number): boolean {
    const claim = this.held.get(id)
    if (claim?.owner !== this) return false
    claim.endsAtMs = this.now() + leaseMs
    return true
  }

  /** Ends the claim, if it is one of this process. */
  giveBack(id: string): void {
    if (this.holds(id)) this.held.delete(id)
  }

  /** Ends the claim, whoever has it: the thing itself is gone. */
  forget(id: string): void {
    this.held.delete(id)
  }

  /** The ids of everything that is claimed under a lease that lasts. */
  lasting(): string[] {
    return [...this.held].filter(([, claim]) => this.#lasts(claim)).map(([id]) => id)
  }

  #lasts({ endsAtMs }: Claim): boolean {
    return endsAtMs > this.now()
  }
}
