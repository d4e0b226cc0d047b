import { readFile } from 'node:fs/promises'
import { isMissing } from '../../values/failures/system-error.js'
import { checkNodeId } from '../../values/ids.js'
import { UsageError } from '../command-error.js'
import { readAgentFolder } from './agent-folder.js'
import { configIn, configName, readConfigToAsk, type ServerOptions } from './connection-options.js'

/** The file in which an existing agent keeps its node id. */
const AGENT_ID_FILE = '/opt/rudder/etc/uuid.hive'

/**
 * The id of this node: as the option says, else as the configuration does, else the agent's own.
 * @param option its name, for the message
 * @throws {UsageError} when none is known
 */
export async function ownNodeId(given: string | undefined, option: string, options: ServerOptions): Promise<string> {
  const id = given ?? (await idInFolder(options)) ?? (await readAgentId())
  if (id === undefined) throw new UsageError(`which node is this? say it with ${option} <id>, or --config <dir>`)
  checkNodeId(id)
  return id
}

async function idInFolder(options: ServerOptions): Promise<string | undefined> {
  const agent = await readAgentFolder(configIn(options), configName(options))
  return agent?.nodeId ?? (await readConfigToAsk(options))?.general.nodeId
}

async function readAgentId(): Promise<string | undefined> {
  try {
    return (await readFile(AGENT_ID_FILE, 'utf8')).trim()
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}
