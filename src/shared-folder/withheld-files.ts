import { basename, dirname, join } from 'node:path'
import type { Config } from '../config/config.js'
import { privateFilesOfRelay } from '../config/private-files.js'
import { writtenFolders } from '../config/storage-folders.js'
import { isWithin, realPath } from '../values/files/real-path.js'

/** A file or folder that the relay keeps to itself. */
interface Place {
  readonly what: string
  /** Without symbolic links. */
  readonly path: string
}

/**
 * Files that the shared folder gives to nobody, wherever it lies and whatever links lead to: the configuration, keys and
 * tokens, `storage.path` and `shared_files.path`.
 */
export class WithheldFiles {
  #found: { readonly config: Config; readonly shared: string; readonly places: readonly Place[] } | undefined

  /** @param config the one in force */
  constructor(private readonly config: () => Config) {}

  /** @param path without symbolic links */
  has(path: string): boolean {
    const { shared, places } = this.#look()
    return places.some(place => {
      const isApart = isInside(place.path, shared) && isWithin(shared, path) // a folder of its own in that place
      return isWithin(place.path, path) && !isApart
    })
  }

  #look() {
    const config = this.config()
    if (this.#found?.config !== config) {
      this.#found = { config, shared: realPath(config.sharedFolder.path), places: ownPlaces(config) }
    }
    return this.#found
  }
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
  // What others may read is given away: a command, the certificate of a CA.
  const files = privateFilesOfRelay(config).filter(({ isReadable }) => isReadable !== true)
  return [
    ...folders,
    ...files.flatMap(({ key, path }) => {
      const what = `${key} ${path}`
      const [named, real] = [join(realPath(dirname(path)), basename(path)), realPath(path)]
      return named === real ? [{ what, path: real }] : [named, real].map(place => ({ what, path: place }))
    })
  ]
}

function isInside(folder: string, path: string): boolean {
  return path !== folder && isWithin(folder, path)
}
