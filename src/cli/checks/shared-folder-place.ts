import { basename, dirname, join } from 'node:path'
import type { Config } from '../../config/config.js'
import { writtenFolders } from '../../config/storage-folders.js'
import { overlapOf, realPath } from '../../storage/folders/separate-folders.js'
import { privateFilesOfRelay } from './private-files.js'

const SETTING = 'shared_folder.path'

/**
 * Checks that the folders of a relay can be told apart, and that the shared folder, which others read, holds nothing of
 * what the relay keeps to itself. A shared folder within the folder of the configuration is in order.
 * @returns what is wrong, with the settings; undefined when all is well
 */
export function misplacedFolder(config: Config): string | undefined {
  const { path } = config.sharedFolder
  const folders = [...writtenFolders(config), { setting: SETTING, path }]
  return heldInSharedFolder(config) ?? overlapOf(config.general.nodeId, folders)
}

function heldInSharedFolder(config: Config): string | undefined {
  const { path } = config.sharedFolder
  const shared = realPath(path)
  if (isWithin(shared, realPath(config.directory))) return refusal(path, `the configuration in ${config.directory}`)
  // What others may read is not given away there: a command, the certificate of a CA.
  for (const { key, path: file } of privateFilesOfRelay(config).filter(({ isReadable }) => isReadable !== true)) {
    const places = [join(realPath(dirname(file)), basename(file)), realPath(file)]
    if (places.some(place => isWithin(shared, place))) return refusal(path, `${key} ${file}`)
  }
  return undefined
}

function isWithin(folder: string, path: string): boolean {
  return path === folder || path.startsWith(folder.endsWith('/') ? folder : `${folder}/`)
}

function refusal(path: string, what: string): string {
  return `${SETTING} = ${path} contains ${what}, which whoever reads the shared folder could read: give it a folder of its own`
}
