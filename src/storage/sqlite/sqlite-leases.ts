import type { Lease, LeaseRepository } from '../../jobs/lease-repository.js'
import { Claims } from './claims.js'

/** @param claims on jobs, of this process */
export function createLeaseRepository(claims = new Claims()): LeaseRepository {
  return new ClaimedLeases(claims)
}

class ClaimedLeases implements LeaseRepository {
  constructor(private readonly claims: Claims) {}

  async claim(job: string, leaseMs: number): Promise<Lease | undefined> {
    const mine = this.claims.beside() // two leases of one process differ as much as those of two
    if (!mine.take(job, leaseMs)) return undefined
    return {
      renew: async ms => mine.renew(job, ms),
      release: async () => mine.giveBack(job)
    }
  }
}
