import { type BigIntStats, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Config } from '../config/config.js'
import { privateFilesOfRelay } from '../config/private-files.js'
import { writtenFolders } from '../config/storage-folders.js'
import { type Identified, isSameFile } from '../file-system/files/file-identity.js'
import { isWithin, realPath } from '../file-system/files/real-path.js'

/** Hashes of tokens: others may read them, but have no use for them. */
const CLIENT_TOKENS = 'tokens.clients_file'

/** A file or folder that the relay keeps to itself. */
interface Place {
  readonly what: string
  /** Without symbolic links. */
  readonly path: string
  readonly isFile?: boolean
}

/**
 * Files that the shared folder gives to nobody, wherever it lies and whatever links lead to: the configuration, keys and
 * tokens, `storage.path` and `shared_files.path`. They are looked for at each question: a link may lead elsewhere by now.
 */
export class WithheldFiles {
  /**
   * @param start the configuration at the start, whose folders are in use until the relay ends
   * @param current the one in force, whose keys may be others
   */
  constructor(
    private readonly start: Config,
    private readonly current: () => Config
  ) {}

  /** @param path without symbolic links @param file the file there: a hard link has another path */
  has(path: string, file?: Identified<bigint>): boolean {
    const configs = new Set([this.start, this.current()])
    const shared = realPath(this.start.sharedFolder.path)
    return [...configs].flatMap(ownPlaces).some(place => {
      if (file !== undefined && place.isFile && isSameFile(file, find(place.path))) return true
      const isApart = isInside(place.path, shared) && isWithin(shared, path) // a folder of its own in that place
      return isWithin(place.path, path) && !isApart
    })
  }
}

function find(path: string): BigIntStats | undefined {
  return statSync(path, { bigint: true, throwIfNoEntry: false })
}

/** A warning for each file or folder of the relay's own that lies in the shared folder. */
export function withheldWarnings(config: Config): string[] {
  const { path } = config.sharedFolder
  const shared = realPath(path)
  const inside = ownPlaces(config).filter(place => isWithin(shared, place.path))
  const topmost = inside.filter(place => !inside.some(other => isInside(other.path, place.path)))
  return [...new Set(topmost.map(({ what }) => what))].map(
    what => `shared_folder.path = ${path} contains ${what}, which it gives to nobody (403): give it a folder of its own`
  )
}

function ownPlaces(config: Config): Place[] {
  const folders = [
    { what: `the configuration in ${config.directory}`, path: realPath(config.directory) },
    ...writtenFolders(config).map(({ setting, path }) => ({ what: `${setting} = ${path}`, path: realPath(path) }))
  ]
  // A command and the certificate of a CA may be read by others, and so here.
  const files = privateFilesOfRelay(config).filter(
    ({ key, isReadable }) => isReadable !== true || key === CLIENT_TOKENS
  )
  return [
    ...folders,
    ...files.flatMap(({ key, path }) => {
      const what = `${key} ${path}`
      const [named, real] = [join(realPath(dirname(path)), basename(path)), realPath(path)]
      return [...new Set([named, real])].map(place => ({ what, path: place, isFile: true }))
    })
  ]
}

function isInside(folder: string, path: string): boolean {
  return path !== folder && isWithin(folder, path)
}
