import { dirname } from 'node:path'
import type { Config } from '../../../config/config.js'
import { ClientError } from '../../../relay-client/client-error.js'
import { errorMessage } from '../../../values/failures/system-error.js'
import { refuseForeign } from '../../checks/permissions/foreign-folder.js'
import { CommandError, UsageError } from '../../command-error.js'
import { readConfig, type ServerOptions } from '../../options/connection-options.js'

const MAX_NAMED = 20

/**
 * Makes the members of a tree anew from the nodes list that the root wrote last, at a root whose database is gone, or
 * older than the tree that it handed down. The relay must not be running.
 */
export async function restoreMembers(options: ServerOptions): Promise<void> {
  const config = await readConfig(options)
  if (config === undefined) throw new UsageError('--config <dir> is needed: it says where the nodes list is')
  const { httpsCertificateFile } = config.general
  if (config.tree.source !== 'members' || httpsCertificateFile === undefined) {
    throw new UsageError('only the root of a tree of members has some to restore (tree.source = "members")')
  }
  const folders = [config.storage.path, dirname(config.general.nodesListFile)]
  await refuseForeign(folders, [], 'run this as the user of the relay')
  const { lockFolder } = await import('../../../storage/folders/instance-lock.js')
  try {
    const unlock = lockFolder(config.storage.path)
    try {
      await restore(config, httpsCertificateFile)
    } finally {
      unlock()
    }
  } catch (error) {
    if (error instanceof ClientError) throw error
    throw new CommandError(errorMessage(error), undefined, { cause: error })
  }
}

async function restore({ general, storage }: Config, certificateFile: string): Promise<void> {
  const [{ openStorage }, { readFormerMembers }, { readPublished }] = await Promise.all([
    import('../../../storage/repositories/open-storage.js'),
    import('../../../membership/root/restoration.js'),
    import('../../../membership/root/published-tree.js')
  ])
  const { nodesListFile, nodesCertsFile } = general
  const opened = openStorage(storage.path)
  try {
    const repository = opened.repositories.members
    const present = await repository.memberCount()
    const published = await readPublished(nodesListFile)
    if (present > 0 && (await repository.version()) >= published) {
      throw new UsageError(`there are ${present} members already: nothing is restored over them`)
    }
    const nowMs = Date.now()
    const former = await readFormerMembers({ nodesListFile, nodesCertsFile, certificateFile, nowMs })
    await repository.replaceMembers(former, published, nowMs)
    console.log(`${former.members.length} members are restored from ${nodesListFile}; start the relay again.
Tokens to join with are gone: make new ones.`)
    const withoutKey = former.members.filter(({ tlsKeyHash }) => tlsKeyHash === undefined).map(({ id }) => id)
    if (withoutKey.length === 0) return
    console.log(`These have no certificate there, and join again with a token made with --id: ${shorten(withoutKey)}`)
  } finally {
    opened.close()
  }
}

function shorten(ids: readonly string[]): string {
  const shown = ids.slice(0, MAX_NAMED).join(', ')
  return ids.length > MAX_NAMED ? `${shown} and ${ids.length - MAX_NAMED} more` : shown
}
