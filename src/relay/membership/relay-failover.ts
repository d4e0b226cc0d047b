import { join } from 'node:path'
import type { Config } from '../../config/config.js'
import {
  keepUpstreamHost,
  PolicyServerFailover,
  type UpperAddress
} from '../../membership/member/policy-server-failover.js'
import type { JoinAnswer } from '../../membership/member-types.js'
import type { Logger } from '../../values/logging/logger.js'
import type { RelaySystemControl } from '../system-control.js'
import { rememberPolicyServer } from './own-membership.js'

export interface RelayFailoverOptions {
  readonly config: () => Config
  readonly system: Pick<RelaySystemControl, 'moveUpstream' | 'certificatesChanged'>
  readonly ask: (signal: AbortSignal) => Promise<JoinAnswer | undefined>
  readonly logger: Logger
}

/** Undefined unless a CA of its own proves who a policy server is: else where it is, is the operator's to say. */
export function createRelayFailover({
  config,
  system,
  ask,
  logger
}: RelayFailoverOptions): PolicyServerFailover | undefined {
  const { upstream, general } = config()
  const hasCa = general.peerAuthentication === 'cert_validation' && general.caPath !== undefined
  if (upstream === undefined || !hasCa) return undefined
  return new PolicyServerFailover({
    configured: () => addressIn(config()),
    ask,
    adopt: async (address, answer) => {
      // first: a start or reload in between must not go back to the former one
      await keepUpstreamHost(join(config().directory, 'main.conf'), 'output.upstream', address, logger)
      try {
        await system.moveUpstream(address)
        if (await rememberPolicyServer(config(), answer, logger)) await system.certificatesChanged()
      } catch (err) {
        logger.error({ err }, 'cannot apply the new policy server in full: restart this relay')
      }
    },
    logger
  })
}

function addressIn({ upstream }: Config): UpperAddress {
  return { host: upstream?.host ?? '', port: upstream?.port ?? 0, nodeId: upstream?.nodeId }
}
