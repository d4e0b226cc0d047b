import { dirname, join } from 'node:path'
import type { AgentConfig } from '../../../config/agent/agent-config.js'
import type { Config } from '../../../config/config.js'
import { checkMembers, checkReplaceable, membersGone } from '../../../membership/root/publication.js'
import { readPublished } from '../../../membership/root/published-tree.js'
import { createFileLayout } from '../../../shared-files/keeping/file-layout.js'
import { checkOwnFolders } from '../../../shared-files/keeping/own-folders.js'
import { checkHasFolders } from '../../../shared-files/keeping/same-folder.js'
import { foldersOfAgent, foldersOfRelay, type OwnFolder } from '../../../storage/folders/folder-kinds.js'
import { checkLock } from '../../../storage/folders/instance-lock.js'
import { checkSubfolder } from '../../../storage/folders/make-subfolder.js'
import { isClaimed } from '../../../storage/folders/own-folder.js'
import { type Look, lookIntoStorage } from '../../../storage/repositories/look-into-storage.js'
import { isDatabaseThere } from '../../../storage/sqlite-engine/database.js'
import { errorMessage } from '../../../values/failures/system-error.js'

/** The findings in the files that earlier starts left. */
export interface KeptState {
  /** The reasons why a start would end. */
  readonly problems: readonly string[]
  /** Names what was not looked at, and says why. */
  readonly notes: readonly string[]
}

/**
 * Looks at what a relay kept: by the checks of its start, without a change, as a relay may be at work there.
 * @param uid the user that it runs as
 */
export async function keptStateOfRelay(config: Config, uid = process.geteuid?.()): Promise<KeptState> {
  const { general, storage, tree } = config
  const ofFolders = await folderProblems(foldersOfRelay(config), general.nodeId)
  const state = await attempt(() => isDatabaseThere(join(storage.path, 'state.db'), 'state'))
  const layout = createFileLayout(config.sharedFiles.path)
  const own = await attempt(() => checkOwnFolders(layout, uid))
  const problems = [...ofFolders, ...own.problems, ...state.problems]
  if (tree.source === 'policy-server') {
    const folder = await attempt(() => checkSubfolder(dirname(general.nodesListFile)))
    problems.push(...folder.problems)
  }
  const looks: Look[] = []
  if (tree.source === 'members') {
    const { nodesListFile } = general
    const published = await attempt(() => readPublished(nodesListFile))
    const files = await attempt(() => checkReplaceable(general))
    problems.push(...published.problems, ...files.problems)
    if (state.found === false) problems.push(membersGone(nodesListFile))
    looks.push(({ members }) => checkMembers(members, nodesListFile))
  }
  looks.push(({ files, outbox }) => checkHasFolders(layout, { files, outbox }))
  return withLooks(problems, state.found === true ? await lookIntoStorage(storage.path, 'relay', looks) : undefined)
}

/** The same for an agent. */
export async function keptStateOfAgent(config: AgentConfig): Promise<KeptState> {
  const { storage, nodeId } = config
  const state = await attempt(() => isDatabaseThere(join(storage.path, 'state.db'), 'state', 'agent'))
  const problems = [...(await folderProblems(foldersOfAgent(config), nodeId)), ...state.problems]
  return withLooks(problems, state.found === true ? await lookIntoStorage(storage.path, 'agent', []) : undefined)
}

/** Each is told once: the looks at a file and at the copy may find the same. */
function withLooks(problems: readonly string[], found: KeptState = { problems: [], notes: [] }): KeptState {
  return { problems: [...new Set([...problems, ...found.problems])], notes: found.notes }
}

async function folderProblems(folders: readonly OwnFolder[], nodeId: string): Promise<string[]> {
  const looks = folders.flatMap(folder => [attempt(() => checkLock(folder)), attempt(() => isClaimed(folder, nodeId))])
  return (await Promise.all(looks)).flatMap(({ problems }) => problems)
}

/** @param look throws what is wrong */
async function attempt<T>(look: () => T | Promise<T>): Promise<{ readonly found?: T; readonly problems: string[] }> {
  try {
    return { found: await look(), problems: [] }
  } catch (error) {
    return { problems: [errorMessage(error)] }
  }
}
