import { checkpoint, holdBackCheckpoints } from '../storage/checkpoint.js'
import { openDatabase } from '../storage/database.js'
import { createTopologyStore } from '../storage/topology-store.js'
import { type ImportRequest, importTree, readStoredTree, type StoredTree } from './import-tree.js'

export interface ImportRunRequest extends ImportRequest {
  readonly databaseFile: string
  /** The import whose tree the relay has; 0 for none. */
  readonly knownGeneration: number
}

export interface ImportRunAnswer {
  /** Why the files could not be imported; undefined when they were, or have not changed. */
  readonly failure: string | undefined
  /** The tree in the database, unless it is the one that the relay has, or there is none. */
  readonly tree: StoredTree | undefined
}

/**
 * Imports the files into the database, synchronously.
 * @param hand is given the outcome as soon as the tree can be used; what follows only tidies up
 */
export function runImport(request: ImportRunRequest, hand: (answer: ImportRunAnswer) => void): void {
  const db = openDatabase(request.databaseFile, 'topology')
  try {
    holdBackCheckpoints(db)
    const store = createTopologyStore(db)
    let failure: string | undefined
    let tree: StoredTree | undefined
    try {
      tree = importTree(store, request, Date.now())
    } catch (error) {
      failure = error instanceof Error ? error.message : String(error)
    }
    const isKnown = store.lastImport()?.generation === request.knownGeneration
    if (!tree && !isKnown) tree = readStoredTree(store, request.selfId)
    hand({ failure, tree })
    // last, when the tree is already in use
    checkpoint(db)
  } finally {
    db.close()
  }
}
