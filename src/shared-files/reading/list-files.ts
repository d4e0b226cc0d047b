import type { CurrentTopology } from '../../tree/topology.js'
import type { Origin } from '../../values/caller.js'
import { checkNodeId } from '../../values/ids.js'
import type { ListedKeptFile } from '../keeping/file-record.js'
import type { FileRepository } from '../keeping/file-repository.js'
import { checkMayRead } from './read-access.js'

/** Files listed at once; a node that has more asks for them by name. */
const MAX_LISTED = 1_000

export interface ListParts {
  readonly topology: CurrentTopology
  readonly files: FileRepository
  readonly now: () => number
}

/** Lists the files that are kept here for a node, whoever sent them. */
export function createList({ topology, files, now }: ListParts) {
  return async (target: string, fileId: string | undefined, origin: Origin): Promise<ListedKeptFile[]> => {
    checkNodeId(target)
    checkMayRead(target, origin.caller, true, topology())
    return files.forTarget(target, fileId, now(), MAX_LISTED)
  }
}
