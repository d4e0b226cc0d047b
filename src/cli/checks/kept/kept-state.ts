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
import { errorMessage, forbiddenPath } from '../../../values/failures/system-error.js'

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
 * @param isOther whether another user looks, who may not see all that is in order
 */
export async function keptStateOfRelay(config: Config, uid = process.geteuid?.(), isOther = false): Promise<KeptState> {
  const { general, storage, tree } = config
  const looks = new Looks(isOther)
  await lookAtFolders(looks, foldersOfRelay(config), general.nodeId)
  const layout = createFileLayout(config.sharedFiles.path)
  await looks.at(() => checkOwnFolders(layout, uid))
  const hasState = await looks.at(() => isDatabaseThere(join(storage.path, 'state.db'), 'state'))
  const { nodesListFile } = general
  if (tree.source === 'policy-server') await looks.at(() => checkSubfolder(dirname(nodesListFile)))
  const atRecords: Look[] = []
  if (tree.source === 'members') {
    await looks.at(() => readPublished(nodesListFile))
    await looks.at(() => checkReplaceable(general))
    if (hasState === false) looks.problems.push(membersGone(nodesListFile))
    atRecords.push(({ members }) => checkMembers(members, nodesListFile))
  }
  atRecords.push(({ files, outbox }) => checkHasFolders(layout, { files, outbox }))
  return looks.with(hasState === true ? await lookIntoStorage(storage.path, 'relay', atRecords) : undefined)
}

/** The same for an agent. */
export async function keptStateOfAgent(
  { storage, nodeId, ...config }: AgentConfig,
  isOther = false
): Promise<KeptState> {
  const looks = new Looks(isOther)
  await lookAtFolders(looks, foldersOfAgent({ ...config, storage }), nodeId)
  const hasState = await looks.at(() => isDatabaseThere(join(storage.path, 'state.db'), 'state', 'agent'))
  return looks.with(hasState === true ? await lookIntoStorage(storage.path, 'agent', []) : undefined)
}

async function lookAtFolders(looks: Looks, folders: readonly OwnFolder[], nodeId: string): Promise<void> {
  for (const folder of folders) {
    await looks.at(() => checkLock(folder))
    await looks.at(() => isClaimed(folder, nodeId))
  }
}

/** The looks of one check, and their findings. */
class Looks {
  readonly problems: string[] = []
  readonly #notes: string[] = []

  constructor(private readonly isOther: boolean) {}

  /** @param look throws what is wrong @returns its result; undefined where something is wrong */
  async at<T>(look: () => T | Promise<T>): Promise<T | undefined> {
    try {
      return await look()
    } catch (error) {
      const path = this.isOther ? forbiddenPath(error) : undefined
      if (path === undefined) this.problems.push(errorMessage(error))
      else this.#notes.push(`${path} was not looked at: this user may not read it`)
      return undefined
    }
  }

  /** Each is told once: the looks at a file and at the copy may find the same. */
  with(found: KeptState = { problems: [], notes: [] }): KeptState {
    return {
      problems: [...new Set([...this.problems, ...found.problems])],
      notes: [...new Set([...this.#notes, ...found.notes])]
    }
  }
}
