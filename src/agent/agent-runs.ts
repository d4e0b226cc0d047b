import type { AgentConfig } from '../config/agent/agent-config.js'
import type { Config } from '../config/config.js'
import type { Neighbours } from '../hops/hop.js'
import { NetworkSet } from '../network/network-set.js'
import { ownCommandLine } from '../remote-run/execution/command.js'
import { ONCE_ONLY_MS } from '../remote-run/records/run-age.js'
import type { RunRepository } from '../remote-run/records/run-repository.js'
import { createRemoteRuns } from '../remote-run/remote-runs.js'
import type { RemoteRuns } from '../remote-run/run-types.js'
import { RelayError } from '../values/failures/relay-error.js'
import type { Logger } from '../values/logging/logger.js'
import { selfTopology } from './self-topology.js'

export interface AgentRunsOptions {
  readonly config: AgentConfig
  readonly repository: RunRepository
  readonly logger: Logger
}

/**
 * The runs of one node, by itself: those of a relay whose tree has one node. So an order is on disk before anything
 * starts, the same order never starts anything twice, and a lost stream can be taken up again.
 */
export function createAgentRuns({ config, repository, logger }: AgentRunsOptions): RemoteRuns {
  const { nodeId } = config
  const topology = selfTopology(nodeId)
  const refusal = `${nodeId} is busy with another run, and agent.when_busy = "refuse"`
  return createRemoteRuns({
    config: runSettings(config),
    storagePath: config.storage.path,
    selfId: nodeId,
    topology: () => topology,
    neighbours: NO_NEIGHBOURS,
    repository,
    logger,
    commandLine: ownCommandLine(() => config.agent.arguments),
    ...(config.agent.whenBusy === 'refuse' ? { maxRuns: { count: config.agent.concurrency, refusal } } : {})
  })
}

/** The settings of runs, read from the configuration in force at each look. */
function runSettings(config: AgentConfig): Config['remoteRun'] {
  return {
    enabled: true,
    get command() {
      return config.agent.command
    },
    get useSudo() {
      return config.agent.useSudo
    },
    batchSize: 1,
    concurrency: config.agent.concurrency,
    get timeoutMs() {
      return config.agent.timeoutMs
    },
    retentionMs: ONCE_ONLY_MS,
    get maxOutputBytes() {
      return config.agent.maxOutputBytes
    },
    fallbackCommand: true,
    ownArguments: undefined,
    stderr: false,
    allowedNetworks: NetworkSet.none()
  }
}

const NO_NEIGHBOURS: Neighbours = {
  down: id => {
    throw new RelayError('UNKNOWN_NODE', `an agent has nobody below it, and so not ${id}`)
  },
  up: () => {
    throw new RelayError('UNKNOWN_NODE', 'an agent asks nothing over its link')
  },
  linked: () => undefined,
  close: () => Promise.resolve()
}
