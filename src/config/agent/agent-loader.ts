import { ConfigError } from '../config.js'
import { readIfPresent } from '../config-loader.js'
import type { AgentConfig } from './agent-config.js'
import { parseAgentConfig } from './agent-parser.js'

/**
 * Reads `agent.conf` and `logging.conf` (which may be absent) from a directory.
 * @throws {ConfigError} naming all that is wrong
 */
export function loadAgentConfig(directory: string): AgentConfig {
  const problems: string[] = []
  const agent = readIfPresent(directory, 'agent.conf', problems)
  const logging = readIfPresent(directory, 'logging.conf', problems)
  if (agent === undefined && problems.length === 0) {
    problems.push(`agent.conf: there is none in ${directory}; give its directory with --config`)
  }
  if (agent === undefined || problems.length > 0) throw new ConfigError(problems)
  return parseAgentConfig(agent, logging, directory)
}
