import type { Logger } from '../values/logging/logger.js'
import { LEASE_MS, RENEWAL_MS } from '../values/time/lease.js'
import type { LeaseRepository } from './lease-repository.js'

export interface UnderLeaseOptions {
  /** Aborts when the process stops. */
  readonly signal: AbortSignal
  readonly logger: Logger
  /** @default RENEWAL_MS; tests renew at once */
  readonly renewalMs?: number
}

/**
 * Does a job, unless another process is at it, and renews the lease while it lasts. The signal that `work` gets aborts
 * when the process stops, and when another process has the job by now.
 */
export async function underLease(
  leases: LeaseRepository,
  job: string,
  work: (signal: AbortSignal) => Promise<void>,
  { signal, logger, renewalMs = RENEWAL_MS }: UnderLeaseOptions
): Promise<void> {
  const lease = await leases.claim(job, LEASE_MS)
  if (lease === undefined) return
  const lost = new AbortController()
  const renew = async () => {
    if (!(await lease.renew(LEASE_MS))) lost.abort(new Error('another process of this relay does this job'))
  }
  const renewal = setInterval(() => {
    renew().catch(err => logger.warn({ err, job }, 'cannot renew the lease of a periodic job'))
  }, renewalMs)
  try {
    await work(AbortSignal.any([signal, lost.signal]))
  } finally {
    clearInterval(renewal)
    await lease.release()
  }
}
