import { join } from 'node:path'
import type { AgentConfig } from '../config/agent/agent-config.js'
import {
  keepUpstreamHost,
  PolicyServerFailover,
  type UpperAddress
} from '../membership/member/policy-server-failover.js'
import type { JoinAnswer } from '../membership/member-types.js'
import type { Logger } from '../values/logging/logger.js'

/** @param address of the policy server; undefined: as it is */
export function movedTo(config: AgentConfig, address: UpperAddress | undefined): AgentConfig {
  return address === undefined ? config : { ...config, upstream: { ...config.upstream, ...address } }
}

/** Undefined unless a CA of its own proves who a policy server is: else where it is, is the operator's to say. */
export function createAgentFailover(
  config: AgentConfig,
  moveUpstream: (address: UpperAddress) => void,
  ask: (signal: AbortSignal) => Promise<JoinAnswer | undefined>,
  logger: Logger
): PolicyServerFailover | undefined {
  if (config.upstream.caFile === undefined) return undefined
  return new PolicyServerFailover({
    configured: () => config.upstream,
    ask,
    adopt: async address => {
      // first: a start in between must not go back to the former one
      await keepUpstreamHost(join(config.directory, 'agent.conf'), 'upstream', address, logger)
      moveUpstream(address)
    },
    logger
  })
}
