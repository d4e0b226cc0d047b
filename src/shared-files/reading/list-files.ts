import type { CurrentTopology } from '../../tree/topology.js'
import type { Origin } from '../../values/caller.js'
import { checkNodeId, type FileKey } from '../../values/ids.js'
import type { FileLayout } from '../keeping/file-layout.js'
import type { FileRepository } from '../keeping/file-repository.js'
import type { KeptFile } from '../types.js'
import { keptFile } from './get-file.js'
import { checkMayRead } from './read-access.js'

/** Files listed at once; a node that has more asks for them by name. */
const MAX_LISTED = 1_000

export interface ListParts {
  readonly layout: FileLayout
  readonly topology: CurrentTopology
  readonly files: FileRepository
  readonly now: () => number
}

/** Lists the files that are kept here for a node, whoever sent them. */
export function createList({ layout, topology, files, now }: ListParts) {
  return async (
    target: string,
    fileId: string | undefined,
    origin: Origin
  ): Promise<(KeptFile & { key: FileKey })[]> => {
    checkNodeId(target)
    checkMayRead(target, origin.caller, true, topology())
    const kept = await files.forTarget(target, fileId, now(), MAX_LISTED)
    return kept.map(file => ({
      ...keptFile(layout, file),
      key: { target: file.target, source: file.source, fileId: file.fileId }
    }))
  }
}
