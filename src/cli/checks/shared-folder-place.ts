import type { Config } from '../../config/config.js'
import { writtenFolders } from '../../config/storage-folders.js'
import { overlapOf } from '../../storage/folders/separate-folders.js'

/**
 * Checks that the folders of a relay can be told apart. The others may lie in the shared folder, which gives away nothing
 * of them.
 * @returns what is wrong, with the settings; undefined when all is well
 */
export function misplacedFolder(config: Config): string | undefined {
  const { path } = config.sharedFolder
  const shared = { setting: 'shared_folder.path', path, mayHoldOthers: true }
  return overlapOf(config.general.nodeId, [...writtenFolders(config), shared])
}
