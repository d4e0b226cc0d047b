/** A folder in which one node alone keeps what it has. */
export interface OwnFolder {
  /** The setting that names the folder. */
  readonly setting: string
  readonly path: string
  /** The mode of the folder, when it has to be made. */
  readonly mode: number
  /** The names of the two files that are made in it. */
  readonly lockName: string
  readonly nodeIdName: string
}

/** The folders that a relay makes in `storage.path`: the outputs of runs, and the tree of its members or from above. */
export const STORAGE_SUBFOLDERS: readonly string[] = ['runs', 'tree']

/**
 * The folder, within that of a relay in `shared_files.path`, of the files kept on its behalf. Its agent fetches all
 * that is below.
 */
export const ON_BEHALF = 'shared-files'

/** No tree is higher: what lies deeper was not put there by a relay. */
export const MAX_RELAYS = 40

/** The mode of the folder of shared files: its group may write in it where the umask lets it, and nobody else. */
export const SHARED_FILES_MODE = 0o775

/** The mode of the folder of databases and outputs of a relay: its group may read there, for backups. */
export const STORAGE_MODE = 0o750

/** That of an agent. */
const AGENT_STORAGE_MODE = 0o700

/** A relay's, by its configuration. */
export function foldersOfRelay(config: {
  readonly storage: { readonly path: string }
  readonly sharedFiles: { readonly path: string }
}): OwnFolder[] {
  return [storageFolder(config.storage.path, STORAGE_MODE), sharedFilesFolder(config.sharedFiles.path)]
}

/** An agent's, by its configuration. */
export function foldersOfAgent(config: { readonly storage: { readonly path: string } }): OwnFolder[] {
  return [storageFolder(config.storage.path, AGENT_STORAGE_MODE)]
}

/** The folder of databases and outputs, of a relay or an agent. */
export function storageFolder(path: string, mode: number): OwnFolder {
  return { setting: 'storage.path', path, mode, lockName: 'lock.db', nodeIdName: 'node-id' }
}

/** The folder of shared files. Its names are those of nodes, which have no `~`; others have to read in it. */
export function sharedFilesFolder(path: string): OwnFolder {
  return { setting: 'shared_files.path', path, mode: SHARED_FILES_MODE, lockName: '.lock~', nodeIdName: '.node-id~' }
}
