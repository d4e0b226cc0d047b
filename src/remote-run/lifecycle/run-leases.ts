import type { Logger } from '../../values/logging/logger.js'
import { LEASE_MS } from '../../values/time/lease.js'
import type { ActiveRun } from '../active-run.js'
import { TAKEN_OVER } from '../progress/node-table.js'
import type { RunRepository } from '../records/run-repository.js'

/** The runs that a process knows, and has claimed. */
export interface ClaimedRuns {
  active(): readonly ActiveRun[]
  /** Ids of runs that have ended, and whose end is not recorded yet. */
  unrecorded(): readonly string[]
}

/** The leases of the runs of this process: renewed until their ends are recorded. */
export class RunLeases {
  /** Ids of runs of a former process that are neither ended nor taken up yet. */
  readonly recovering = new Set<string>()
  #timer: NodeJS.Timeout | undefined

  constructor(
    private readonly repository: RunRepository,
    private readonly known: ClaimedRuns,
    /** Runs that begin, by their ids: they may be claimed already. */
    private readonly beginning: Pick<ReadonlyMap<string, unknown>, 'keys'>,
    private readonly logger: Logger,
    private readonly renewalMs: number
  ) {}

  start(): void {
    this.#timer ??= setInterval(() => {
      this.renew().catch(err => this.logger.warn({ err }, 'cannot renew claims on runs'))
    }, this.renewalMs).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** Renews all leases, and leaves runs that another process has taken over to it. */
  async renew(): Promise<void> {
    const active = this.known.active()
    const others = [...this.beginning.keys(), ...this.recovering, ...this.known.unrecorded()]
    const ids = [...new Set([...active.map(({ id }) => id), ...others])]
    if (ids.length === 0) return
    const lost = new Set(await this.repository.renew(ids, LEASE_MS))
    for (const run of active) {
      if (lost.has(run.id) && run.state === 'running') run.leaveToOther(TAKEN_OVER)
    }
  }
}
