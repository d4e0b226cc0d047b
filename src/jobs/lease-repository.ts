/** The right to do a job, for as long as the lease lasts. */
export interface Lease {
  /** Makes the lease end so much later than now. @returns false when another holder has the job by now */
  renew(leaseMs: number): Promise<boolean>
  /** Gives the job back before the lease ends. Takes nothing from the next holder. */
  release(): Promise<void>
}

/** Sees to it that a job is done by one process at a time, however many share the relay's records. */
export interface LeaseRepository {
  /**
   * @param job its name
   * @param leaseMs a process that is gone holds the job no longer than this
   * @returns undefined while another holder has it
   */
  claim(job: string, leaseMs: number): Promise<Lease | undefined>
}
