import { readConfigFiles } from '../config-loader.js'
import { filesNamedByAgent, refuseWithheld } from '../named-files.js'
import type { AgentConfig } from './agent-config.js'
import { parseAgentConfig } from './agent-parser.js'

/**
 * Reads `agent.conf` and `logging.conf` (which may be absent) from a directory.
 * @throws {ConfigError} naming all that is wrong
 */
export function loadAgentConfig(directory: string): AgentConfig {
  const { main, logging, writers } = readConfigFiles(directory, 'agent.conf')
  const config = parseAgentConfig(main, logging, directory)
  refuseWithheld('agent.conf', writers, filesNamedByAgent(config))
  return config
}
