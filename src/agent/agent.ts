import type { RequestListener } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import { buildAgentApp } from '../api/agent-app.js'
import type { AgentConfig } from '../config/agent/agent-config.js'
import { loadAgentConfig } from '../config/agent/agent-loader.js'
import { NO_REVOCATIONS } from '../hops/peers/revocations.js'
import { Dialer } from '../links/lower/dialer.js'
import { LowerLink } from '../links/lower/lower-link.js'
import { warnWithoutMaskingAddon } from '../links/lower/masking-addon.js'
import { openAgentRevocations } from '../membership/member/agent-revocations.js'
import type { RemoteRuns } from '../remote-run/types.js'
import { openDatabase } from '../storage/database.js'
import { createRunRepository } from '../storage/sqlite/run-repository.js'
import { RelayError } from '../values/failures/relay-error.js'
import { errorMessage } from '../values/failures/system-error.js'
import { formatVersions, PROTOCOL_VERSIONS } from '../values/protocol-version.js'
import { isoTime } from '../values/time/iso-time.js'
import { settledWithin } from '../values/time/settled-within.js'
import { createAgentRuns } from './agent-runs.js'
import { certificateEnd, keepCertificate } from './certificate.js'
import { FileScheduler } from './file-scheduler.js'
import { liveConfig } from './live-config.js'
import { endpointOf, handshakeOf } from './policy-server-endpoint.js'
import { createPolicyServerFailover, movedTo } from './policy-server-failover.js'

export interface AgentOptions {
  readonly config: AgentConfig
  readonly logger: Logger
}

export interface Agent {
  /** Reads `agent.conf` and `logging.conf` again; broken ones change nothing, which the log says. Never rejects. */
  reload(): Promise<void>
  /** Takes nothing new; what runs may end within `agent.stop_timeout`, then it is stopped. Idempotent. */
  stop(): Promise<void>
}

/** Records of runs are kept for a week; once a day is often enough to look. */
const PURGE_EVERY_MS = 24 * 3_600_000

const LAST_ANSWERS_MS = 2_000
const LOOK_EVERY_MS = 20

/** Starts an agent. The caller holds the lock of `storage.path`. */
export async function startAgent({ config: read, logger }: AgentOptions): Promise<Agent> {
  const live = liveConfig(read)
  const { config, moveUpstream } = live
  await endpointOf(config) // what cannot be read is told at the start
  await handshakeOf(config)
  await warnWithoutMaskingAddon(logger)
  const book = await openAgentRevocations(config, logger)
  const revocations = book ?? NO_REVOCATIONS
  const db = openDatabase(join(config.storage.path, 'state.db'), 'state')
  const stopping = new AbortController()
  const startedAtMs = Date.now()
  let isStopping = false
  const remoteRuns = createAgentRuns({ config, repository: createRunRepository(db), logger })
  await remoteRuns.recover()

  let routing: RequestListener = (_request, response) => response.destroy()
  const end = new LowerLink({
    routing: (request, response) => routing(request, response),
    openLane: linkId => dialer.openLane(linkId)
  })
  const following = createPolicyServerFailover(config, moveUpstream, signal => keeper.ask(signal), logger)
  const dialer: Dialer = new Dialer({
    upper: async () => ({ ...(await endpointOf(movedTo(config, following?.address))), revocations }),
    handshake: () => handshakeOf(config),
    end,
    follower: following,
    logger
  })
  const files = new FileScheduler({ config, link: dialer, revocations, logger })
  const keeper = keepCertificate(config, dialer, revocations, logger)
  const app = await buildAgentApp({
    storage: { setting: 'storage.path', path: config.storage.path },
    services: {
      remoteRuns,
      revocations: book,
      stopping: stopping.signal,
      isFromAbove: request => end.isFromAbove(request),
      takesOrders: () => !isStopping,
      onFile: (source, fileId) => files.look(source, fileId),
      state: () => {
        const { running, commandsRunning } = remoteRuns.status()
        return {
          started_at: isoTime(startedAtMs),
          runs_running: commandsRunning,
          runs_waiting: running - commandsRunning,
          file_problems: files.problems,
          ...certificateEnd(config.certificateFile),
          protocol: formatVersions(PROTOCOL_VERSIONS)
        }
      }
    },
    logger
  })
  routing = (request, response) => app.routing(request, response)
  dialer.onChange(({ isConnected }) => {
    if (isConnected) files.lookAtAll()
  })
  dialer.start()
  files.start()
  keeper.start()
  const purge = setInterval(() => purgeOld(remoteRuns, stopping.signal, logger), PURGE_EVERY_MS)

  async function reload(): Promise<void> {
    try {
      const again = loadAgentConfig(config.directory)
      await endpointOf(again)
      const { waiting, upstream, files: otherFiles } = live.take(again)
      logger.level = again.logging.level
      if (otherFiles) files.restart()
      if (upstream) dialer.redial('the policy server is another one in agent.conf')
      if (waiting.length > 0) logger.warn({ settings: waiting }, 'settings changed; restart to apply them')
      logger.info({}, 'reloaded')
    } catch (error) {
      const problem = errorMessage(error)
      logger.error({ problem }, 'cannot reload; the former configuration stays in force')
    }
  }

  async function stop(): Promise<void> {
    isStopping = true
    clearInterval(purge)
    await Promise.all([files.stop(), keeper.stop(), settledWithin(remoteRuns.drain(), config.agent.stopTimeoutMs)])
    await remoteRuns.stop()
    await settledWithin(drained(end), LAST_ANSWERS_MS) // how runs ended is still to be told
    stopping.abort(new RelayError('STOPPING', 'the agent is stopping; ask again in a minute'))
    await dialer.stop()
    end.close()
    await app.close()
    db.close()
  }
  let stopped: Promise<void> | undefined
  return {
    reload,
    stop: () => {
      stopped ??= stop()
      return stopped
    }
  }
}

/** Resolves when nothing is asked any more. */
async function drained(end: LowerLink): Promise<void> {
  while (end.activeRequests > 0) await sleep(LOOK_EVERY_MS, undefined, { ref: false })
}

function purgeOld(remoteRuns: RemoteRuns, signal: AbortSignal, logger: Logger): void {
  remoteRuns.purgeExpired(signal).catch((err: unknown) => {
    if (!signal.aborted) logger.error({ err }, 'cannot remove old records of runs')
  })
}
