import { join, relative } from 'node:path'

/** Where a relay or agent keeps what is not its configuration. */
export interface DataFolders {
  /** What holds all of them; absolute, as the next three. */
  readonly path: string
  readonly storage: string
  readonly sharedFiles: string
  readonly sharedFolder: string
  /** As a configuration has one of them: relative where that goes with its folder when it is moved. */
  readonly setting: (path: string) => string
  /** Below `/var/lib`, where the service manager makes it; undefined elsewhere. */
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
