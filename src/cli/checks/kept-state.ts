import { join } from 'node:path'
import type { AgentConfig } from '../../config/agent/agent-config.js'
import type { Config } from '../../config/config.js'
import { membersGone } from '../../membership/root/publication.js'
import { readPublished } from '../../membership/root/published-tree.js'
import { foldersOfAgent, foldersOfRelay, type OwnFolder } from '../../storage/folders/folder-kinds.js'
import { isClaimed } from '../../storage/folders/own-folder.js'
import { isDatabaseThere } from '../../storage/sqlite-engine/database.js'
import { errorMessage } from '../../values/failures/system-error.js'

/** Looks, without a change, at what a relay kept. @returns what in it would end its start */
export async function keptStateOfRelay(config: Config): Promise<string[]> {
  const { general, storage, tree } = config
  const problems = await claimProblems(foldersOfRelay(config), general.nodeId)
  const state = await attempt(() => isDatabaseThere(join(storage.path, 'state.db'), 'state'))
  problems.push(...state.problems)
  if (tree.source !== 'members') return problems
  const published = await attempt(() => readPublished(general.nodesListFile))
  const gone = state.found === false ? [membersGone(general.nodesListFile)] : []
  return [...problems, ...published.problems, ...gone]
}

/** The same for an agent. */
export async function keptStateOfAgent(config: AgentConfig): Promise<string[]> {
  const state = await attempt(() => isDatabaseThere(join(config.storage.path, 'state.db'), 'state', 'agent'))
  return [...(await claimProblems(foldersOfAgent(config), config.nodeId)), ...state.problems]
}

async function claimProblems(folders: readonly OwnFolder[], nodeId: string): Promise<string[]> {
  const looks = await Promise.all(folders.map(folder => attempt(() => isClaimed(folder, nodeId))))
  return looks.flatMap(({ problems }) => problems)
}

/** @param look throws what is wrong */
async function attempt<T>(look: () => T | Promise<T>): Promise<{ readonly found?: T; readonly problems: string[] }> {
  try {
    return { found: await look(), problems: [] }
  } catch (error) {
    return { problems: [errorMessage(error)] }
  }
}
