import { PURGE_EVERY_MS, type RemoteRuns } from '../remote-run/run-types.js'
import type { Logger } from '../values/logging/logger.js'

/** Removes old records of runs from now on. */
export function keepRunsPurged(
  remoteRuns: Pick<RemoteRuns, 'purgeExpired'>,
  logger: Logger
): { stop(): Promise<void> } {
  const stopping = new AbortController()
  let underWay: Promise<void> | undefined
  let timer = setTimeout(look, PURGE_EVERY_MS)

  function look(): void {
    timer = setTimeout(look, PURGE_EVERY_MS)
    underWay ??= purge().finally(() => {
      underWay = undefined
    })
  }

  async function purge(): Promise<void> {
    try {
      const runs = await remoteRuns.purgeExpired(stopping.signal)
      if (runs > 0) logger.info({ runs }, 'old records of runs removed')
    } catch (error) {
      if (!stopping.signal.aborted) logger.error({ err: error }, 'cannot remove old records of runs')
    }
  }

  return {
    stop: async () => {
      clearTimeout(timer)
      stopping.abort(new Error('the agent is stopping'))
      await underWay
    }
  }
}
