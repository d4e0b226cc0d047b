import { join, relative } from 'node:path'

/** The folders in which a relay or agent keeps all but its configuration. */
export interface DataFolders {
  /** The folder that holds all of them; absolute, as the next three. */
  readonly path: string
  readonly storage: string
  readonly sharedFiles: string
  readonly sharedFolder: string
  /** A path as a configuration states it: relative where it moves with the configuration's folder. */
  readonly setting: (path: string) => string
  /** The name below `/var/lib`, where the service manager makes the folder; undefined elsewhere. */
  readonly stateName: string | undefined
}

const ETC = '/etc'
const STATE = '/var/lib'
/** Names that a service manager takes as they are. */
const PLAIN = /^[\w-][\w.-]*(?:\/[\w-][\w.-]*)*$/

/**
 * The folders of data for the configuration in `folder`. Both are absolute.
 * @param chosen what is to hold them. @default `/var/lib/<name>` for `/etc/<name>`, and else `folder` itself
 */
export function dataFolders(folder: string, chosen?: string): DataFolders {
  const path = chosen ?? (folder.startsWith(`${ETC}/`) ? join(STATE, relative(ETC, folder)) : folder)
  const state = relative(STATE, path)
  return {
    path,
    storage: join(path, 'data'),
    sharedFiles: join(path, 'shared-files'),
    sharedFolder: join(path, 'shared-folder'),
    setting: inner => (path === folder ? relative(folder, inner) : inner),
    stateName: PLAIN.test(state) ? state : undefined
  }
}
