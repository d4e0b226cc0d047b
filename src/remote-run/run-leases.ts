import type { Logger } from '../values/logger.js'
import { LEASE_MS, RENEWAL_MS } from '../values/time/lease.js'
import type { ActiveRun } from './active-run.js'
import { TAKEN_OVER } from './progress/node-table.js'
import type { RunRepository } from './run-repository.js'

/** The leases of the runs under way in this process: renewed for as long as they are. */
export class RunLeases {
  #timer: NodeJS.Timeout | undefined

  constructor(
    private readonly repository: RunRepository,
    private readonly active: () => readonly ActiveRun[],
    private readonly logger: Logger
  ) {}

  start(): void {
    this.#timer ??= setInterval(() => {
      this.renew().catch(err => this.logger.warn({ err }, 'cannot renew claims on runs'))
    }, RENEWAL_MS).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** Renews all leases, and leaves runs that another process has taken over to it. */
  async renew(): Promise<void> {
    const running = this.active().filter(run => run.state === 'running')
    if (running.length === 0) return
    const lost = new Set(
      await this.repository.renew(
        running.map(({ id }) => id),
        LEASE_MS
      )
    )
    for (const run of running) {
      if (lost.has(run.id) && run.state === 'running') run.leaveToOther(TAKEN_OVER)
    }
  }
}
