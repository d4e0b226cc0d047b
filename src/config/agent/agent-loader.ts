import { UserGroups, withUserGroups } from '../../values/permissions/path-writers.js'
import { readConfigFiles } from '../config-loader.js'
import { filesNamedByAgent, refuseWithheld } from '../named-files.js'
import type { AgentConfig } from './agent-config.js'
import { parseAgentConfig } from './agent-parser.js'

/**
 * Reads `agent.conf` and `logging.conf` (which may be absent) from a directory.
 * @param groups of users, as the system names them now; it is waited for
 * @throws {ConfigError} naming all that is wrong
 */
export function loadAgentConfig(directory: string, groups = new UserGroups()): AgentConfig {
  const { main, logging, writers } = readConfigFiles(directory, 'agent.conf')
  const config = parseAgentConfig(main, logging, directory)
  refuseWithheld('agent.conf', writers, filesNamedByAgent(config), groups)
  return config
}

/** The same for a process that has others to serve: it goes on while the system is asked. */
export function reloadAgentConfig(directory: string): Promise<AgentConfig> {
  return withUserGroups(groups => loadAgentConfig(directory, groups))
}
