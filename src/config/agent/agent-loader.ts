import { UserGroups } from '../../file-system/permissions/path-writers.js'
import { readConfigFiles } from '../config-loader.js'
import { filesNamedByAgent, refuseWithheld } from '../named-files.js'
import type { AgentConfig } from './agent-config.js'
import { parseAgentConfig } from './agent-parser.js'

/**
 * Reads `agent.conf` and `logging.conf` (which may be absent) from a directory.
 * @param groups of users; everything waits for the system to name those that are not known yet
 * @throws {ConfigError} naming all that is wrong
 */
export function loadAgentConfig(directory: string, groups = new UserGroups()): AgentConfig {
  const { main, logging, writers } = readConfigFiles(directory, 'agent.conf')
  const config = parseAgentConfig(main, logging, directory)
  refuseWithheld('agent.conf', writers, filesNamedByAgent(config), groups)
  return config
}

/** Reads the same for a process that has others to serve, as `reloadConfig` does. */
export async function reloadAgentConfig(directory: string): Promise<AgentConfig> {
  const { writers } = readConfigFiles(directory, 'agent.conf')
  return loadAgentConfig(directory, await UserGroups.ofWriters(writers))
}
