/** The right to do a job, for as long as the lease lasts. */
export interface Lease {
  /** Gives the job back before the lease ends. */
  release(): Promise<void>
}

/** Sees to it that a job is done by one process at a time, however many share the relay's records. */
export interface LeaseRepository {
  /**
   * @param job its name
   * @param leaseMs how long the job may take: a process that is gone holds it no longer
   * @returns undefined while another holder has it
   */
  claim(job: string, leaseMs: number): Promise<Lease | undefined>
}
