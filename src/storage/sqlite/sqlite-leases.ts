import type { Lease, LeaseRepository } from '../../jobs/lease-repository.js'

/**
 * A state database belongs to one process at a time, so leases live in its memory and end with it.
 * @param now ms of a clock that only goes forward
 */
export function createLeaseRepository(now = () => performance.now()): LeaseRepository {
  return new MemoryLeases(now)
}

class MemoryLeases implements LeaseRepository {
  /** When each lease ends, by the job's name. */
  readonly #ends = new Map<string, { readonly atMs: number }>()

  constructor(private readonly now: () => number) {}

  async claim(job: string, leaseMs: number): Promise<Lease | undefined> {
    const held = this.#ends.get(job)
    if (held !== undefined && held.atMs > this.now()) return undefined
    const end = { atMs: this.now() + leaseMs }
    this.#ends.set(job, end)
    return {
      release: async () => {
        if (this.#ends.get(job) === end) this.#ends.delete(job)
      }
    }
  }
}
