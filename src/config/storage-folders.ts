import { dirname } from 'node:path'
import type { StorageFolder } from '../values/failures/disk-failure.js'
import type { Config } from './config.js'

/**
 * The folders that incoming data goes to. A failure without a path is most likely about the last one: databases,
 * outputs of runs.
 */
export function writtenFolders({ sharedFiles, storage }: Config): readonly StorageFolder[] {
  return [
    { setting: 'shared_files.path', path: sharedFiles.path },
    { setting: 'storage.path', path: storage.path }
  ]
}

/** All in which a relay writes or reads. */
export function storageFolders(config: Config): readonly StorageFolder[] {
  const { nodesListFile } = config.general
  return [
    { setting: 'general.nodes_list_file', path: dirname(nodesListFile) },
    { setting: 'shared_folder.path', path: config.sharedFolder.path },
    ...writtenFolders(config)
  ]
}
