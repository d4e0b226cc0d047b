import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import { buildAgentApp } from '../api/agent-app.js'
import type { AgentConfig } from '../config/agent/agent-config.js'
import { reloadAgentConfig } from '../config/agent/agent-loader.js'
import { NO_REVOCATIONS } from '../keys/certificates/revocations.js'
import { Dialer } from '../links/lower/dialer.js'
import { LowerLink } from '../links/lower/lower-link.js'
import { warnWithoutMaskingAddon } from '../links/lower/masking-addon.js'
import { openAgentRevocations } from '../membership/revocations/agent-revocations.js'
import type { RemoteRuns } from '../remote-run/run-types.js'
import { openStorage } from '../storage/repositories/open-storage.js'
import type { RecordStorage } from '../storage/repositories/repositories.js'
import { RelayError } from '../values/failures/relay-error.js'
import { errorMessage } from '../values/failures/system-error.js'
import type { LogLevel } from '../values/logging/logger.js'
import { formatVersions, PROTOCOL_VERSIONS } from '../values/protocol-version.js'
import { isoTime } from '../values/time/iso-time.js'
import { settledWithin } from '../values/time/settled-within.js'
import { createAgentFailover, movedTo } from './agent-failover.js'
import { createAgentRuns } from './agent-runs.js'
import { certificateEnd, keepCertificateRenewed } from './certificate.js'
import { FileScheduler } from './files/file-scheduler.js'
import { type LiveConfig, liveConfig } from './live-config.js'
import { OfferedServices } from './offered-services.js'
import { endpointOf, handshakeOf } from './policy-server-endpoint.js'
import { keepRunsPurged } from './run-purge.js'

export interface AgentOptions {
  readonly config: AgentConfig
  /** Takes the log level of a configuration that is read again. */
  readonly configureLogLevel: (level: LogLevel) => void
  readonly logger: Logger
}

export interface Agent {
  /** Reads `agent.conf` and `logging.conf` again; broken ones change nothing, which the log says. Never rejects. */
  reload(): Promise<void>
  /** Takes nothing new; what runs may end within `agent.stop_timeout`, then it is stopped. Idempotent. */
  stop(): Promise<void>
}

const LAST_ANSWERS_MS = 2_000
const LOOK_EVERY_MS = 20

/** Starts an agent. The caller holds the lock of `storage.path`. */
export async function startAgent({ config: read, configureLogLevel, logger }: AgentOptions): Promise<Agent> {
  const live = liveConfig(read)
  const { config } = live
  await endpointOf(config) // what cannot be read is told at the start
  await handshakeOf(config)
  await warnWithoutMaskingAddon(logger)
  const book = await openAgentRevocations(config, logger)
  const storage = openStorage(config.storage.path, 'agent')
  const remoteRuns = createAgentRuns({ config, repository: storage.repositories.runs, logger })
  await remoteRuns.recover()
  const agent = new RunningAgent({ live, book, storage, remoteRuns, configureLogLevel, logger })
  await agent.start()
  return agent
}

interface AgentParts {
  readonly live: LiveConfig
  /** Undefined: no certificate is revoked for this agent. */
  readonly book: Awaited<ReturnType<typeof openAgentRevocations>>
  readonly storage: Pick<RecordStorage, 'close'>
  readonly remoteRuns: RemoteRuns
  readonly configureLogLevel: (level: LogLevel) => void
  readonly logger: Logger
}

class RunningAgent implements Agent {
  readonly #stopping = new AbortController()
  readonly #startedAtMs = Date.now()
  readonly #end: LowerLink
  readonly #dialer: Dialer
  readonly #files: FileScheduler
  readonly #services: OfferedServices
  readonly #renewal: ReturnType<typeof keepCertificateRenewed>
  #app: Awaited<ReturnType<typeof buildAgentApp>> | undefined
  #purge: ReturnType<typeof keepRunsPurged> | undefined
  #isStopping = false
  #stopped: Promise<void> | undefined

  constructor(private readonly parts: AgentParts) {
    const { live, book, logger } = parts
    const { config, moveUpstream } = live
    const revocations = book ?? NO_REVOCATIONS
    this.#services = new OfferedServices(config.nodeId, logger)
    this.#end = new LowerLink({
      routing: (request, response) => this.#route(request, response),
      openLane: (linkId, purpose) => this.#dialer.openLane(linkId, purpose),
      takeStream: this.#services.takeStream
    })
    const failover = createAgentFailover(config, moveUpstream, signal => this.#renewal.ask(signal), logger)
    this.#dialer = new Dialer({
      upper: async () => ({ ...(await endpointOf(movedTo(config, failover?.address))), revocations }),
      handshake: async () => ({ ...(await handshakeOf(config)), hasServices: config.ownServices.length > 0 }),
      end: this.#end,
      follower: failover,
      lane: () => config.upstream.lane,
      logger
    })
    this.#files = new FileScheduler({ config, link: this.#dialer, revocations, logger })
    this.#renewal = keepCertificateRenewed(config, this.#dialer, revocations, logger)
  }

  async start(): Promise<void> {
    const { live, remoteRuns, logger } = this.parts
    this.#app = await this.#buildApp()
    await this.#services.offer(live.config.ownServices)
    this.#dialer.onChange(({ isConnected }) => {
      if (isConnected) this.#files.lookAtAll()
    })
    this.#dialer.start()
    this.#files.start()
    this.#renewal.start()
    this.#purge = keepRunsPurged(remoteRuns, logger)
  }

  async reload(): Promise<void> {
    const { live, configureLogLevel, logger } = this.parts
    try {
      const again = await reloadAgentConfig(live.config.directory)
      await endpointOf(again)
      const { waiting, upstream, files, hadServices } = live.take(again)
      await this.#services.offer(live.config.ownServices)
      configureLogLevel(again.logging.level)
      if (files) this.#files.restart()
      if (!hadServices && live.config.ownServices.length > 0) this.#dialer.redial('there are services now')
      if (upstream) this.#dialer.redial('the policy server is another one in agent.conf')
      if (waiting.length > 0) logger.warn({ settings: waiting }, 'settings changed; restart to apply them')
      logger.info({}, 'reloaded')
    } catch (error) {
      const problem = errorMessage(error)
      logger.error({ problem }, 'cannot reload; the former configuration stays in force')
    }
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop(): Promise<void> {
    const { book, storage, remoteRuns } = this.parts
    const { stopTimeoutMs } = this.parts.live.config.agent
    this.#isStopping = true
    this.#services.announceNone() // the relay chooses another way from now on
    await Promise.all([
      this.#files.stop(),
      this.#renewal.stop(),
      this.#purge?.stop(),
      settledWithin(Promise.all([remoteRuns.drain(), withoutStreams(this.#end)]), stopTimeoutMs)
    ])
    await remoteRuns.stop()
    await settledWithin(drained(this.#end), LAST_ANSWERS_MS) // how runs ended is still to be told
    this.#stopping.abort(new RelayError('STOPPING', 'the agent is stopping; ask again in a minute'))
    await this.#dialer.stop()
    this.#end.close()
    this.#services.close()
    await this.#app?.close()
    await book?.stop()
    storage.close()
  }

  #route(request: IncomingMessage, response: ServerResponse): void {
    if (this.#app === undefined) response.destroy()
    else this.#app.routing(request, response)
  }

  #buildApp() {
    const { live, book, remoteRuns, logger } = this.parts
    return buildAgentApp({
      storage: { setting: 'storage.path', path: live.config.storage.path, keeper: 'agent' },
      services: {
        remoteRuns,
        revocations: book,
        stopping: this.#stopping.signal,
        isFromAbove: request => this.#end.isFromAbove(request),
        takesOrders: () => !this.#isStopping,
        onFile: (source, fileId) => this.#files.look(source, fileId),
        state: () => this.#state()
      },
      logger
    })
  }

  #state() {
    const { running, commandsRunning } = this.parts.remoteRuns.status()
    return {
      started_at: isoTime(this.#startedAtMs),
      runs_running: commandsRunning,
      runs_waiting: running - commandsRunning,
      file_problems: this.#files.problems,
      ...certificateEnd(this.parts.live.config.certificateFile),
      protocol: formatVersions(PROTOCOL_VERSIONS)
    }
  }
}

/** Resolves when no service is asked any more. */
async function withoutStreams(end: LowerLink): Promise<void> {
  while (end.activeStreams > 0) await sleep(LOOK_EVERY_MS, undefined, { ref: false })
}

/** Resolves when nothing is asked any more. */
async function drained(end: LowerLink): Promise<void> {
  while (end.activeRequests > 0) await sleep(LOOK_EVERY_MS, undefined, { ref: false })
}
