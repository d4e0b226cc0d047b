import type { SharedFileStore } from '../storage/shared-file-store.js'
import type { CurrentTopology } from '../tree/topology.js'
import type { Origin } from '../values/caller.js'
import { checkNodeId, type FileKey } from '../values/ids.js'
import { keptFile } from './get.js'
import type { FileLayout } from './keeping/file-layout.js'
import { checkMayRead } from './read-access.js'
import type { KeptFile } from './types.js'

/** Files listed at once; a node that has more asks for them by name. */
const MAX_LISTED = 1_000

export interface ListParts {
  readonly layout: FileLayout
  readonly topology: CurrentTopology
  readonly store: SharedFileStore
  readonly now: () => number
}

/** What is kept here for a node, whoever sent it. */
export function createList({ layout, topology, store, now }: ListParts) {
  return (target: string, fileId: string | undefined, origin: Origin): (KeptFile & { key: FileKey })[] => {
    checkNodeId(target)
    checkMayRead(target, origin.caller, true, topology())
    return store.forTarget(target, fileId, now(), MAX_LISTED).map(row => ({
      ...keptFile(layout, row),
      key: { target: row.target, source: row.source, fileId: row.fileId }
    }))
  }
}
