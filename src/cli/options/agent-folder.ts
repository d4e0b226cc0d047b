import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { AgentConfig } from '../../config/agent/agent-config.js'
import type { PolicyServerTrust } from '../../membership/member/policy-server-trust.js'
import { hostAndPort } from '../../network/host-and-port.js'
import type { ServerTls } from '../../relay-client/relay-tls.js'
import { errorMessage } from '../../values/failures/system-error.js'
import { silentLogger } from '../../values/logging/logger.js'
import { UsageError } from '../command-error.js'

/**
 * The agent's configuration in `directory`, when it is the folder of an agent and of no relay.
 * @param name how the user named it: `--config`
 * @throws {UsageError} naming all that is wrong
 */
export async function readAgentFolder(directory: string | undefined, name: string): Promise<AgentConfig | undefined> {
  if (directory === undefined || existsSync(join(directory, 'main.conf'))) return undefined
  if (!existsSync(join(directory, 'agent.conf'))) return undefined
  const { loadAgentConfig } = await import('../../config/agent/agent-loader.js')
  try {
    return loadAgentConfig(directory)
  } catch (error) {
    throw new UsageError(`${name} ${directory}: ${errorMessage(error)}`, { cause: error })
  }
}

/**
 * The address and identity of the agent's policy server, read as the agent itself reads them.
 * @throws {UsageError} naming the setting and the file that cannot be used
 */
export async function policyServerOf(
  agent: AgentConfig
): Promise<PolicyServerTrust & { readonly server: string; readonly revocations: ServerTls['revocations'] }> {
  const [{ readPolicyServerTrust }, { openAgentRevocations }] = await Promise.all([
    import('../../membership/member/policy-server-trust.js'),
    import('../../membership/revocations/agent-revocations.js')
  ])
  const { host, port } = agent.upstream
  return {
    server: `https://${hostAndPort(host, port)}`,
    ...(await readPolicyServerTrust(agent).catch((cause: unknown) => {
      throw new UsageError(`${agent.directory}: ${errorMessage(cause)}`, { cause })
    })),
    revocations: await openAgentRevocations(agent, silentLogger)
  }
}
