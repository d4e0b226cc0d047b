import { setTimeout as sleep } from 'node:timers/promises'
import { PURGE_EVERY_MS, type RemoteRuns } from '../remote-run/run-types.js'
import type { SharedFiles } from '../shared-files/file-types.js'
import type { Logger } from '../values/logging/logger.js'
import { anyWaitUpTo } from '../values/time/backoff.js'
import type { LeaseRepository } from './lease-repository.js'
import { type Frequency, scheduleOf } from './schedule.js'
import { underLease } from './under-lease.js'

/** All relays that start at once would ask their policy server at once for ever. */
const JITTER = 0.25

export interface JobOptions {
  readonly sharedFiles: Pick<SharedFiles, 'purgeExpired'>
  readonly remoteRuns: Pick<RemoteRuns, 'purgeExpired'>
  readonly cleanupFrequency: Frequency
  /** Leases for jobs that only one of the processes that share the relay's records may do. */
  readonly leases: LeaseRepository
  /** The tree of the policy server, for a relay that gets its tree from there. */
  readonly treeSync?: { ask(): Promise<void>; readonly everyMs: number }
  /** The exchange of revocation lists, where such a list counts. */
  readonly revocations?: { look(): Promise<void>; readonly everyMs: number }
  readonly logger: Logger
}

export interface Jobs {
  /** No job starts any more; resolves when none runs. */
  stop(): Promise<void>
}

/** Starts what happens by the clock: purges of shared files and of records of runs, and the look for another tree. */
export function startJobs(options: JobOptions): Jobs {
  const { sharedFiles, remoteRuns, cleanupFrequency, leases, treeSync, revocations, logger } = options
  const stopping = new AbortController()
  const jobs = [
    scheduleAlone('purge shared files', cleanupFrequency, async signal => {
      const files = await sharedFiles.purgeExpired(signal)
      if (files > 0) logger.info({ files }, 'expired shared files removed')
    }),
    scheduleAlone('purge runs', { everyMs: PURGE_EVERY_MS }, async signal => {
      const runs = await remoteRuns.purgeExpired(signal)
      if (runs > 0) logger.info({ runs }, 'old records of runs removed')
    })
  ]
  if (treeSync !== undefined) jobs.push(askUpper(treeSync.everyMs, () => treeSync.ask()))
  if (revocations !== undefined) jobs.push(askUpper(revocations.everyMs, () => revocations.look()))

  function askUpper(everyMs: number, ask: () => Promise<void>): () => Promise<void> {
    return schedule({ everyMs }, async () => {
      await sleep(anyWaitUpTo(JITTER * everyMs), undefined, { signal: stopping.signal })
      await ask()
    })
  }

  /** A job that another process may be at, under the same name. `work` is to end soon once its signal aborts. */
  function scheduleAlone(
    name: string,
    frequency: Frequency,
    work: (signal: AbortSignal) => Promise<void>
  ): () => Promise<void> {
    return schedule(frequency, () => underLease(leases, name, work, { signal: stopping.signal, logger }))
  }

  function schedule(frequency: Frequency, work: () => Promise<void>): () => Promise<void> {
    const times = scheduleOf(frequency)
    let underWay: Promise<void> | undefined
    let timer: NodeJS.Timeout | undefined
    const look = () => {
      const { isDue, waitMs } = times.look()
      timer = setTimeout(look, waitMs)
      if (!isDue) return
      underWay ??= work()
        .catch((error: unknown) => {
          if (!stopping.signal.aborted)
            logger.error({ err: error }, 'periodic job failed; it runs again at its next time')
        })
        .finally(() => {
          underWay = undefined
        })
    }
    look()
    return async () => {
      clearTimeout(timer)
      await underWay
    }
  }

  return {
    stop: async () => {
      stopping.abort(new Error('the relay stops'))
      await Promise.all(jobs.map(stop => stop()))
    }
  }
}
